package assembly

import (
	"crypto/sha256"
	"fmt"
	"sync"

	"mailseal/keys"
	"mailseal/milter/dkim"
	"mailseal/milter/sign"
)

// testedKeys remembers which keys of a source have passed their test, beyond the cache: where more
// domains send than it holds, each message would pay for a test, which costs more than its
// signature.
type testedKeys struct {
	mu     sync.Mutex
	passed map[[sha256.Size]byte]struct{} // digests of private keys
}

// maxTested bounds the memory of a source's tested keys: about 5 MB.
const maxTested = 100_000

// test has a key that a source answered with sign a probe that the second implementation must
// verify with the record that belongs to it. Its domain and selector are judged where they are
// used: the key table may say others.
func (t *testedKeys) test(k keys.Key) error {
	text, err := keys.Marshal(k.Signer)
	id := sha256.Sum256(text)
	clear(text)
	if err == nil && t.has(id) {
		return nil
	}
	k.Domain, k.Selector = "probe.invalid", "probe"
	if err := sign.TestKey(k, dkim.SignOptions{}); err != nil {
		return fmt.Errorf("the key fails its self-test, so no receiver would accept its signatures: %w", err)
	}
	t.add(id)
	return nil
}

func (t *testedKeys) has(id [sha256.Size]byte) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	_, ok := t.passed[id]
	return ok
}

// add begins again when there are too many: those at work pass their test once more.
func (t *testedKeys) add(id [sha256.Size]byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.passed == nil || len(t.passed) >= maxTested {
		t.passed = map[[sha256.Size]byte]struct{}{}
	}
	t.passed[id] = struct{}{}
}
