package shadow

import (
	"net"
	"time"

	"mailseal/milter/guard"
)

// The limits of both connections are far beyond what MTAs and milters have themselves: it is for
// them to lose patience.
const (
	idleLimit   = 24 * time.Hour
	packetLimit = 2 * time.Hour
	// halfLimit is how long the MTA may go on after the upstream has said all that it has to say.
	halfLimit = 10 * time.Minute
)

// peer is one of the two connections.
type peer struct {
	*guard.Framer
	nc net.Conn
}

func newPeer(nc net.Conn) *peer {
	limits := guard.Limits{Handshake: packetLimit, Idle: idleLimit, InPacket: packetLimit,
		Write: packetLimit}
	return &peer{guard.NewFramer(nc, limits), nc}
}

// closeWrite tells the peer that nothing more comes, while it may still have something to say.
func (p *peer) closeWrite() error {
	if h, can := p.nc.(interface{ CloseWrite() error }); can {
		return h.CloseWrite()
	}
	return p.Close()
}
