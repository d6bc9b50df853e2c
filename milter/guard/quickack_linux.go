package guard

import (
	"net"
	"syscall"
)

// quickAck returns a function that asks the kernel to acknowledge at once what the peer has sent,
// nil if nc is not TCP.
//
// Both MTAs write a macro packet and its command as two small segments without TCP_NODELAY, so that
// the second waits for the acknowledgement of the first, which Linux delays by 40 ms: 45 to 180 ms
// a message on Sendmail. The kernel falls out of this mode by itself: it is asked again after each
// read.
func quickAck(nc net.Conn) func() {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return nil
	}
	raw, err := tcp.SyscallConn()
	if err != nil {
		return nil
	}
	set := func(fd uintptr) {
		// Without effect, mail is slower, and nothing else: no error is worth more than that.
		_ = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_QUICKACK, 1)
	}
	ack := func() { _ = raw.Control(set) }
	ack()
	return ack
}
