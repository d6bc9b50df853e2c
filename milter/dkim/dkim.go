// Package dkim verifies and makes DKIM signatures (RFC 6376, as updated by RFC 8301, 8463
// and 8616). Package arc uses the same parts for its signatures (RFC 8617).
package dkim
