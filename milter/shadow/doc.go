// Package shadow is between an MTA and the milter that it has, and compares that one with
// another, which sees the same messages and of which the MTA gets nothing: what a week of it shows
// is what a switch would change.
//
// The proxy hands packets on in both directions. It asks the MTA for what the old milter, the
// upstream, asked for, and for what the new one needs besides: header fields and body, and the
// white space after a field's colon. What the upstream did not want it is not shown, and what it
// says without that white space is put as the MTA would have put it. All else of the upstream's
// passes as it is, edits and replies, signs of life and the end of the connection.
//
// Beside that a mirror plays the MTA towards the new milter, with a copy of the packets, in a
// goroutine of its own. It is bounded in memory, in time and in number; when it cannot follow, the
// message counts as not judged.
//
// What both made of a message is compared when both have spoken, by a Recorder, in one goroutine
// for all: nothing that happens there, not even a log that is not read, holds up a message.
package shadow
