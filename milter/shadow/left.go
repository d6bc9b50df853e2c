package shadow

import (
	"context"
	"errors"
	"net"
	"time"
)

// leftLimit is how long the upstream may go on after the MTA has closed the connection. MTAs close
// both directions, so that no answer can reach them. An upstream that hangs would otherwise keep
// two descriptors for each client that gave up.
const leftLimit = time.Second

// errLeft says that a connection ended since the MTA had left.
var errLeft = errors.New("the MTA has left")

// untilLeft returns a context that ends leftLimit after the MTA has closed its connection, at the
// latest. Nothing may read from it meanwhile: the upstream may not answer when it is connected
// to, or take nothing more of a message.
func untilLeft(ctx context.Context, mta net.Conn) (context.Context, context.CancelFunc) {
	left, cut := context.WithCancelCause(ctx)
	go func() {
		look := time.NewTicker(leftLimit / 2)
		defer look.Stop()
		for times := 0; times < 2; {
			select {
			case <-left.Done():
				return
			case <-look.C:
			}
			if hasLeft(mta) {
				times++
			}
		}
		cut(errLeft)
	}()
	return left, func() { cut(nil) }
}
