// Package milter serves a filter to MTAs. It gathers what the milter protocol says about a message,
// asks a Filter what to make of it, and does what the answer says: gather, judge, apply. Judging
// never sees a type of the protocol, so that other callers can ask the same Filter. The daemon's
// Filter is package milter/filter.
//
// Whose mail a message is (Roles) is found out here: the macros that decide it are asked for when a
// connection is negotiated, and messages that no Filter ever sees, such as one with too large a
// header, have a role too.
package milter
