package keys

// Outdate marks all cached answers as expired, so that each is queried again before it is used, for
// example because a reload changed the source. While the source does not answer, cached keys are
// still used, for as long as before.
func (c *Cache) Outdate() {
	now := c.options.Now()
	kept := c.memory.Kept(now)
	for i := len(kept) - 1; i >= 0; i-- { // the most recently used last
		e := kept[i]
		if !serves(e) {
			c.memory.Drop(e.Key)
			continue
		}
		c.memory.Put(e.Key, e.Value, now.Add(-c.options.TTL), e.End)
	}
}
