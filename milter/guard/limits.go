package guard

import "time"

// Limits bound what a peer can make us hold and how long it can make us wait. A zero value means
// the default.
type Limits struct {
	// octets of one packet without its length; 1 MiB, which is also go-milter's limit
	Packet    int
	Handshake time.Duration // from accepting the connection to the end of its first packet; 5 s
	InPacket  time.Duration // from a packet's first octet to its last; 30 s
	// Idle is how long the next packet may take; 2 h. Both MTAs show a message only when they have
	// all of it, so that this is a slow client's upload, not the MTA's thinking.
	Idle  time.Duration
	Write time.Duration // one write; 10 s
	// between two progress packets while a message is judged; 4 s: Sendmail waits 10 s
	Progress time.Duration
}

const (
	defaultPacket    = 1 << 20
	defaultHandshake = 5 * time.Second
	defaultInPacket  = 30 * time.Second
	defaultIdle      = 2 * time.Hour
	defaultWrite     = 10 * time.Second
	defaultProgress  = 4 * time.Second
)

// filled returns l with the defaults where it says nothing.
func (l Limits) filled() Limits {
	if l.Packet <= 0 || l.Packet > defaultPacket {
		l.Packet = defaultPacket
	}
	orDefault(&l.Handshake, defaultHandshake)
	orDefault(&l.InPacket, defaultInPacket)
	orDefault(&l.Idle, defaultIdle)
	orDefault(&l.Write, defaultWrite)
	orDefault(&l.Progress, defaultProgress)
	return l
}

func orDefault(d *time.Duration, def time.Duration) {
	if *d <= 0 {
		*d = def
	}
}
