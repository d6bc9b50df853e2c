package guard_test

import (
	"net"
	"testing"
	"time"

	"mailseal/milter/guard"
)

// Both MTAs write macros and command as two small segments and leave Nagle's algorithm on. Without
// an acknowledgement at once, the second waits 40 ms for the first.
func TestTCPIsAcknowledgedAtOnce(t *testing.T) {
	client, server := tcpPair(t)
	if err := client.(*net.TCPConn).SetNoDelay(false); err != nil {
		t.Fatal(err)
	}
	r := &rig{
		mta:    &mta{t: t, nc: client, Framer: guard.NewFramer(client, guard.Limits{})},
		filter: &recorder{}, conn: make(chan *guard.Conn, 1), ended: make(chan error, 1),
		options: defaults, sinks: true,
	}
	go r.serve(server)
	r.send(guard.Negotiate, string(offer(6, allActions, allProtocol)))
	r.want(guard.Negotiate)
	r.hello()
	// Without the acknowledgement nearly every exchange waits; a busy machine delays some as well,
	// so that one round in which most are fast is enough.
	const rounds, exchanges, most = 30, 60, 45
	best := 0
	for n := 0; n <= rounds && best < most; n++ {
		fast := 0
		for range exchanges {
			start := time.Now()
			r.sendRaw(string(guard.AppendPacket(nil, guard.Macro, []byte("Mi\x00QUEUE\x00"))))
			r.sendRaw(string(guard.AppendPacket(nil, guard.Mail, []byte("<a@example.com>\x00"))))
			r.want(guard.Continue)
			if time.Since(start) < 35*time.Millisecond {
				fast++
			}
		}
		if n > 0 { // the kernel acknowledges the first ones at once by itself
			best = max(best, fast)
		}
	}
	if best < most {
		t.Errorf("in the best of %d rounds, %d of %d exchanges did not wait for a delayed acknowledgement",
			rounds, best, exchanges)
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}
