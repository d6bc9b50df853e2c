package control

import (
	"context"
	"errors"
	"fmt"
	"net"
)

// ErrAway means that no daemon answers at the socket.
var ErrAway = errors.New("no daemon answers")

// Ask sends a request to the daemon whose socket is at a path, and waits for the answer
// until ctx ends. If the daemon could not carry out the request, the answer contains the
// reason. The error, which may wrap ErrAway, reports that no daemon answered.
func Ask(ctx context.Context, path string, r Request) (Answer, error) {
	nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
	if err != nil {
		return Answer{}, fmt.Errorf("%w at %s: %w", ErrAway, path, err)
	}
	defer nc.Close()
	stop := context.AfterFunc(ctx, func() { _ = nc.Close() })
	defer stop()
	r.Version = Version
	text, err := marshal(r)
	if err != nil {
		return Answer{}, err
	}
	_, writeErr := nc.Write(text) // a daemon that refuses us answers before it has read anything
	line, err := readLine(nc, maxAnswer)
	switch {
	case err != nil && writeErr != nil:
		return Answer{}, fmt.Errorf("%w at %s: %w", ErrAway, path, writeErr)
	case ctx.Err() != nil:
		return Answer{}, fmt.Errorf("%w at %s: %w", ErrAway, path, context.Cause(ctx))
	case err != nil:
		return Answer{}, fmt.Errorf("%w at %s: %w", ErrAway, path, err)
	}
	return parseAnswer(line)
}
