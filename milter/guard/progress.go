package guard

import "time"

// progress is guarded by the framer's mutex, as is every write: a sign of life is a whole packet,
// between whole packets, and never comes after the first edit.
type progress struct {
	every   time.Duration
	judging bool // the end of the message has been handed over and nothing was answered
	on      bool
	timer   *time.Timer
}

// StartProgress tells the MTA every Limits.Progress that the message is still being judged, so that
// its timeout (10 s on Sendmail) begins again. It is called from the callback for the end of the
// message and does nothing at any other time. It ends by itself with the first edit or the verdict.
func (c *Conn) StartProgress() {
	c.framer.mu.Lock()
	defer c.framer.mu.Unlock()
	p := &c.progress
	if !p.judging || p.on {
		return
	}
	p.on = true
	if p.timer == nil {
		p.timer = time.AfterFunc(p.every, c.tick)
		return
	}
	p.timer.Reset(p.every)
}

// StopProgress ends what StartProgress began.
func (c *Conn) StopProgress() {
	c.framer.mu.Lock()
	defer c.framer.mu.Unlock()
	c.progress.stop()
}

func (p *progress) stop() {
	if p.on {
		p.on = false
		p.timer.Stop()
	}
}

// judge notes whether the MTA is waiting for the first word about a message that it has sent whole.
func (c *Conn) judge(judging bool) {
	c.framer.mu.Lock()
	defer c.framer.mu.Unlock()
	c.progress.judging = judging
	if !judging {
		c.progress.stop()
	}
}

func (c *Conn) tick() {
	if err := c.beat(); err != nil {
		c.finish(err)
	}
}

// beat gives one sign of life.
func (c *Conn) beat() error {
	c.framer.mu.Lock()
	defer c.framer.mu.Unlock()
	if !c.progress.on {
		return nil
	}
	c.framer.out = AppendPacket(c.framer.out, Progress)
	if err := c.framer.flush(); err != nil {
		c.progress.stop()
		return err
	}
	c.progress.timer.Reset(c.progress.every)
	return nil
}
