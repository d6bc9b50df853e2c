// Package shadow is a proxy between an MTA and its present milter. It compares that milter with
// another one, which sees the same messages but whose answers the MTA never gets: the differences
// of a week are what a switch would change.
//
// The proxy hands packets on in both directions. It asks the MTA for what the old milter, the
// upstream, asked for, and for what the new one needs besides: header fields and body, and the
// white space after a field's colon. What the upstream did not want it is not shown, and what it
// says without that white space is put as the MTA would have put it. All else of the upstream's
// passes as it is, edits and replies, progress packets and the end of the connection.
//
// Beside that a mirror plays the MTA towards the new milter, with a copy of the packets, in a
// goroutine of its own. It is bounded in memory, in time and in number; when it cannot follow, the
// message counts as not judged.
//
// What both made of a message is compared when both have spoken, by a Recorder, in one goroutine
// for all: nothing that happens there, not even a log that is not read, holds up a message.
package shadow
