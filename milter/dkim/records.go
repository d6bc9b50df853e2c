package dkim

import "sync"

// Bounds of the records that are kept: some megabytes at most, all of them public.
const (
	keptRecords = 2048
	longestKept = 1024 // octets of a text; a key of 4096 bits takes 750
)

// records are those that the process has read last. DKIM and ARC ask for keys by a function, LookupKeys, and share
// nothing else.
var records = recordCache{size: keptRecords}

// recordCache remembers what texts of key records say, so that the key of a domain that writes often is read once. With
// BoringCrypto that saves an eighth of what verifying a message of 4 KB costs, since crypto/rsa builds a form of its own
// of a key unless it is given the very same one again. There are two halves: when one is full, the other begins anew, and a
// record that was asked for meanwhile stays. It is safe for concurrent use.
type recordCache struct {
	size int // how many records, at most

	mu            sync.Mutex
	recent, older map[string]Record
}

// read is ParseRecord. Only records that can be used are remembered.
func (c *recordCache) read(text string) (Record, error) {
	if r, known := c.get(text); known {
		return r, nil
	}
	r, err := ParseRecord(text)
	if err == nil && len(text) <= longestKept {
		c.put(r)
	}
	return r, err
}

func (c *recordCache) get(text string) (Record, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r, known := c.recent[text]; known {
		return r, true
	}
	r, known := c.older[text]
	if known {
		c.keep(r)
	}
	return r, known
}

func (c *recordCache) put(r Record) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(r)
}

// keep is put for a caller that holds mu.
func (c *recordCache) keep(r Record) {
	if len(c.recent) >= c.size/2 || c.recent == nil {
		c.recent, c.older = map[string]Record{}, c.recent
	}
	c.recent[r.Text] = r
}
