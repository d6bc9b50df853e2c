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
	// Without the acknowledgement every exchange waits; a busy machine delays some as well.
	const exchanges = 2000
	for n := 0; ; n++ {
		if n == exchanges {
			t.Fatalf("each of %d exchanges waited for a delayed acknowledgement", exchanges)
		}
		start := time.Now()
		r.sendRaw(string(guard.AppendPacket(nil, guard.Macro, []byte("Mi\x00QUEUE\x00"))))
		r.sendRaw(string(guard.AppendPacket(nil, guard.Mail, []byte("<a@example.com>\x00"))))
		r.want(guard.Continue)
		if n >= 60 && time.Since(start) < 35*time.Millisecond { // the kernel acknowledges the first at once
			break
		}
	}
	if err := r.quit(); err != nil {
		t.Error(err)
	}
}
