// Package dkim verifies and makes DKIM signatures (RFC 6376, as updated by RFC 8301, 8463 and
// 8616). ARC's signatures stand on the same parts (RFC 8617).
package dkim
