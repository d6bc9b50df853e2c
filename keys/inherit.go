package keys

// Inherit takes over the cached answers of another Cache of the same keys, as if they had been
// queried with these options, and the state of its source. It is for a Cache that has not been
// queried yet.
func (c *Cache) Inherit(old *Cache) {
	kept := old.memory.Kept(c.options.Now())
	for i := len(kept) - 1; i >= 0; i-- { // the most recently used last
		c.inherit(kept[i], old.options)
	}
	old.health.mu.Lock()
	defer old.health.mu.Unlock()
	c.health.mu.Lock()
	defer c.health.mu.Unlock()
	c.health.answered, c.health.away, c.health.cause = old.health.answered, old.health.away,
		old.health.cause
	c.health.hangs = old.health.hangs
}

// inherit remembers an answer for as long as it would be if it had come with the options in effect.
func (c *Cache) inherit(e *entry, old CacheOptions) {
	if !serves(e) {
		c.remember(e.Key, nil, e.End.Add(-old.NegativeTTL))
		return
	}
	c.remember(e.Key, e.Value, e.End.Add(-old.Stale-old.TTL))
}
