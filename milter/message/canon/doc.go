// Package canon makes the canonical forms of DKIM (RFC 6376 section 3.4): of a body that comes in
// chunks, and of a header field's value.
//
// A line ends with CRLF. A CR or LF alone is a byte like any other: implementations that take it
// for a line end or for white space, as go-msgauth and OpenDKIM each do in a way of their own,
// cannot verify what others sign, and let CRs be added to signed mail.
//
// The relaxed forms are made eight bytes at a time, because every byte of every body passes here,
// and a loop over single bytes is slower than the hash that follows it. That loop is in
// reference_test.go: the fuzz targets hold that both make the same bytes, and the benchmark says
// what the difference is.
package canon
