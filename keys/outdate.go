package keys

// Outdate has the source asked for each answer that is remembered before it serves again, as when a
// reload finds the source another one than it was. Keys still serve while the source does not
// answer, for as long as they would have.
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
