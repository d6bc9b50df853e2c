package milter

import (
	"context"
	"runtime"
	"strings"
	"testing"
	"time"

	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
)

// servingGoroutines returns how many goroutines serve connections: those with the guard or
// go-milter on their stacks.
func servingGoroutines() (n int) {
	stacks := make([]byte, 1<<20)
	for size := runtime.Stack(stacks, true); size == len(stacks); size = runtime.Stack(stacks,
		true) {
		stacks = make([]byte, 2*len(stacks))
	}
	for stack := range strings.SplitSeq(strings.TrimRight(string(stacks), "\x00"), "\n\n") {
		if strings.Contains(stack, "mailseal/milter/guard.") ||
			strings.Contains(stack, "emersion/go-milter.") {
			n++
		}
	}
	return n
}

// Each open connection costs one goroutine, the one that go-milter serves it in, and none is left
// after a drain, whether a connection is idle, in the middle of a message or being judged.
func TestOneGoroutinePerConnection(t *testing.T) {
	const idle, inMessage = 15, 4
	eventually(t, "no goroutine of an earlier test",
		func() bool { return servingGoroutines() == 0 })
	f, reached, open := gate()
	r := serve(t, Settings{Filter: f}, func(o *Options, _ *ListenOptions) {
		o.DrainSoft, o.DrainHard = 1, time.Minute
	})
	wires := make([]*wire, idle+inMessage)
	for i := range wires {
		wires[i] = r.wire()
		wires[i].hello()
	}
	for _, w := range wires[idle:] {
		w.envelope()
		w.content()
		w.send(guard.EndOfBody, "")
		w.flush()
		<-reached
	}
	// What has handed a connection over may still be on its way out.
	eventually(t, "one goroutine for each connection", func() bool {
		return servingGoroutines() == len(wires)
	})

	r.stop()
	for _, w := range wires[:idle] {
		w.wantClosed()
	}
	eventually(t, "idle connections have no goroutine",
		func() bool { return servingGoroutines() == inMessage })
	close(open)
	for _, w := range wires[idle:] {
		if p := w.next(); p.Code != guard.Accept {
			t.Errorf("a message in progress got %v", p.Code)
		}
		w.wantClosed()
	}
	if err := <-r.ended; err != nil {
		t.Error(err)
	}
	r.ended <- nil
	eventually(t, "no goroutine is left", func() bool { return servingGoroutines() == 0 })
	if n := r.server.places.inUse(); n+r.counts.open+r.server.open() != 0 {
		t.Errorf("%d places taken, %d connections counted, %d known after the end", n,
			r.counts.open, r.server.open())
	}
}

// Close ends every connection at once, also one whose message is being judged: the judge's context
// ends with it.
func TestCloseEndsAll(t *testing.T) {
	eventually(t, "no goroutine of an earlier test",
		func() bool { return servingGoroutines() == 0 })
	reached, told := make(chan struct{}), make(chan struct{})
	f := &filter{decide: func(ctx context.Context, _ Mail, _ *message.Message, _ []byte) Outcome {
		close(reached)
		<-ctx.Done()
		close(told)
		return Outcome{Action: action.Accept}
	}}
	r := serve(t, Settings{Filter: f, Deadline: time.Hour})
	idle, busy := r.wire(), r.wire()
	idle.hello()
	busy.hello()
	busy.envelope()
	busy.content()
	busy.send(guard.EndOfBody, "")
	busy.flush()
	<-reached
	r.server.Close()
	idle.wantClosed()
	busy.wantClosed()
	<-told
	eventually(t, "no goroutine and no place is left", func() bool {
		return servingGoroutines() == 0 && r.server.places.inUse() == 0 && r.server.open() == 0
	})
}
