package milter

import (
	"testing"

	"mailseal/milter/message"
)

// What the tests of this package need of milter/filter, which imports it. The external tests set
// both.
var (
	// DaemonFilter returns the daemon's filter. It signs for example.com with an RSA and an Ed25519
	// key, and judges with the DNS answers in a cache.
	DaemonFilter func(t *testing.T) Filter
	// ForgedFields returns the fields of a message that only the host with an authserv-id may have
	// written.
	ForgedFields func(id string, m Mail, h message.Header) []int
)
