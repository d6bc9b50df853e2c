package dnstest

import (
	"errors"
	"fmt"
	"net"

	wire "github.com/miekg/dns"
)

// Server answers DNS queries on one address, over UDP and TCP, from a Zone.
type Server struct {
	addr     string
	udp, tcp *wire.Server
}

// Serve begins to answer on addr, an IP address and port; port 0 takes a free one and "" stands for
// 127.0.0.1:0. A reply that does not fit the UDP size the client asked for is truncated, so that
// the client turns to TCP and Queries holds the question twice. Names under $TIMEOUT get no reply.
// Close ends it.
func Serve(z *Zone, addr string) (*Server, error) {
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	packets, listener, err := listen(addr)
	if err != nil {
		return nil, fmt.Errorf("serve %s: %w", addr, err)
	}
	h := handler{z}
	s := &Server{
		addr: listener.Addr().String(),
		udp:  &wire.Server{PacketConn: packets, Handler: h},
		tcp:  &wire.Server{Listener: listener, Handler: h},
	}
	for _, srv := range []*wire.Server{s.udp, s.tcp} {
		started := make(chan struct{})
		srv.NotifyStartedFunc = func() { close(started) }
		go srv.ActivateAndServe() // returns when Close shuts it down
		<-started
	}
	return s, nil
}

// Addr returns the address that the server answers on, as "127.0.0.1:40053".
func (s *Server) Addr() string { return s.addr }

// Close ends the server and waits for the queries in progress.
func (s *Server) Close() error {
	return errors.Join(s.udp.Shutdown(), s.tcp.Shutdown())
}

// listen opens the same port for both transports. With port 0 the one that UDP got may be taken for
// TCP: try others.
func listen(addr string) (net.PacketConn, net.Listener, error) {
	var last error
	for range 10 {
		packets, err := net.ListenPacket("udp", addr)
		if err != nil {
			return nil, nil, err
		}
		listener, err := net.Listen("tcp", packets.LocalAddr().String())
		if err == nil {
			return packets, listener, nil
		}
		packets.Close()
		last = err
	}
	return nil, nil, last
}

type handler struct{ z *Zone }

func (h handler) ServeDNS(w wire.ResponseWriter, q *wire.Msg) {
	if q.Question[0].Qclass != wire.ClassINET {
		w.WriteMsg(new(wire.Msg).SetRcode(q, wire.RcodeRefused))
		return
	}
	m, ok := h.z.reply(q)
	if !ok {
		return
	}
	size := wire.MinMsgSize
	if opt := q.IsEdns0(); opt != nil {
		size = max(size, int(opt.UDPSize()))
		m.SetEdns0(opt.UDPSize(), false)
	}
	if _, isTCP := w.RemoteAddr().(*net.TCPAddr); isTCP {
		size = wire.MaxMsgSize
	}
	m.Truncate(size)
	w.WriteMsg(m) // a client that went away is no error of ours
}
