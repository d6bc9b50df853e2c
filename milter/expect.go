package milter

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"strings"
	"sync"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/message"
)

const (
	// expectTime is how long a test message may take until it is here.
	expectTime = 5 * time.Minute

	// maxExpected is how many test messages are waited for at once. Root and the daemon's user fill
	// it; the oldest leaves then, and its message is treated as any other.
	maxExpected = 16

	// testDomain is below .invalid (RFC 6761 section 6.4), so that no message to it can reach a
	// mailbox.
	testDomain = "@mailseal-test.invalid"
)

// expected are the recipients of test messages, each good for one.
type expected struct {
	mu   sync.Mutex
	list []expectation // the oldest first
}

type expectation struct {
	recipient string
	until     time.Time
}

// Expect returns a recipient of one time below .invalid. The next message to it, and to no other
// else, that this host itself hands to the MTA within five minutes is judged and signed like any
// other, and then refused with 550 and a line that says what would have been done: it is neither
// delivered nor does it leave the host.
func (s *Server) Expect() string {
	var secret [16]byte
	_, _ = rand.Read(secret[:]) // never fails
	recipient := "test-" + hex.EncodeToString(secret[:]) + testDomain
	s.expected.mu.Lock()
	defer s.expected.mu.Unlock()
	if len(s.expected.list) == maxExpected {
		s.expected.list = s.expected.list[1:]
	}
	s.expected.list = append(s.expected.list, expectation{recipient, time.Now().Add(expectTime)})
	return recipient
}

// take reports whether a message is an expected one, which it is not any longer.
func (x *expected) take(env *message.Envelope) bool {
	if len(env.Recipients) != 1 || !strings.HasSuffix(env.Recipients[0], testDomain) {
		return false
	}
	if !env.Local && !env.Client.Unmap().IsLoopback() {
		return false
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	for i, e := range x.list {
		if e.recipient == env.Recipients[0] {
			x.list = append(x.list[:i:i], x.list[i+1:]...)
			return time.Now().Before(e.until)
		}
	}
	return false
}

// testReply refuses a test message, whatever its outcome is, and says what that is.
func (t *transaction) testReply(o *Outcome) Reply {
	text := fmt.Sprintf("Mailseal test: role %s, by %s; action %s", t.role, t.why, o.Action)
	if o.Author != "" {
		text += "; author " + o.Author
	}
	switch names := signatures(o.Edits.Insert); {
	case len(names) > 0:
		text += "; signed by " + strings.Join(names, ", ")
	case o.Action == action.Accept && t.role == action.RoleOurs:
		text += "; not covered by any rule"
	}
	if o.Results != "" {
		text += "; " + o.Results
	}
	if !o.Action.GoesOn() && o.Reply.Text != "" {
		text += "; reply " + o.Reply.Text
	}
	return Reply{550, "5.7.1", text}
}

// signatures are the names of the keys of the signatures among fields.
func signatures(fields []message.Field) []string {
	var out []string
	for _, f := range fields {
		if !f.Is("DKIM-Signature") {
			continue
		}
		tags := map[string]string{}
		for tag := range strings.SplitSeq(string(f.Value()), ";") {
			name, value, _ := strings.Cut(tag, "=")
			tags[strings.TrimSpace(name)] = strings.TrimSpace(value)
		}
		out = append(out, tags["s"]+"._domainkey."+tags["d"])
	}
	return out
}
