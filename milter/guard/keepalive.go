package guard

import (
	"net"
	"time"
)

// keepAlive makes the kernel notice within two minutes that a TCP peer has vanished: the idle
// deadline alone, which has to allow for a slow upload, would hold the connection for hours.
func keepAlive(nc net.Conn) {
	tcp, ok := nc.(*net.TCPConn)
	if !ok {
		return
	}
	// A socket that refuses is no worse than before; a dead one fails at the first read.
	_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: time.Minute,
		Interval: 15 * time.Second, Count: 4})
}
