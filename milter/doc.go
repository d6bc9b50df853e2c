// Package milter serves a filter to MTAs. It gathers what the milter protocol says about a message, asks a Filter what
// to make of it, and does what the answer says: gather, judge, apply. Judging never sees a type of the protocol, so
// that other callers can ask the same Filter.
package milter
