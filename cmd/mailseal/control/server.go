package control

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"

	"mailseal/keys"
	"mailseal/milter"
	"mailseal/milter/action"
)

const (
	// maxClients is how many clients are served at once. Root and the daemon's user fill it; when
	// it is full, others of them get an error at once. Mail does not pass here.
	maxClients = 8

	// patience is how long a client has to write its request, and to read the answer.
	patience = 5 * time.Second
)

// Server answers requests.
type Server struct {
	Handle func(context.Context, Request) Answer
	Log    *slog.Logger
}

// Listen opens the socket at a path. It replaces a socket that no daemon serves.
func Listen(ctx context.Context, path string) (net.Listener, error) {
	if _, err := os.Stat(filepath.Dir(path)); err != nil {
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	l, err := milter.Listen(ctx, milter.ListenOptions{Address: "unix:" + path, Mode: 0o600,
		Role: action.RoleAuto})
	if err != nil {
		return nil, err
	}
	return l, nil
}

// Serve answers clients until ctx ends, and then closes l. Requests in progress are answered first.
func (s *Server) Serve(ctx context.Context, l net.Listener) error {
	stop := context.AfterFunc(ctx, func() { _ = l.Close() })
	defer stop()
	places := make(chan struct{}, maxClients)
	var clients sync.WaitGroup
	defer clients.Wait()
	for {
		nc, err := l.Accept()
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return errors.Join(fmt.Errorf("the control socket: %w", err), l.Close())
		}
		select {
		case places <- struct{}{}:
			clients.Go(func() {
				defer func() { <-places }()
				s.serve(ctx, nc)
			})
		default:
			s.answer(nc, Answer{Error: fmt.Sprintf("%d commands are being answered; try again",
				maxClients)})
			nc.Close()
		}
	}
}

// serve answers one client.
func (s *Server) serve(ctx context.Context, nc net.Conn) {
	defer nc.Close()
	if err := Allowed(nc); err != nil {
		s.Log.Warn("a client of the control socket was refused", "error", err)
		s.answer(nc, Answer{Error: "only root and the daemon's own user get an answer"})
		return
	}
	// fails on a connection that is closed, as reading will
	_ = nc.SetReadDeadline(time.Now().Add(patience))
	line, err := readLine(nc, maxRequest)
	if err != nil {
		s.answer(nc, Answer{Error: err.Error()})
		return
	}
	r, err := parseRequest(line)
	if err != nil {
		s.answer(nc, Answer{Error: err.Error()})
		return
	}
	s.answer(nc, s.handle(ctx, r))
}

// handle survives a panic, which is a bug: mail matters more.
func (s *Server) handle(ctx context.Context, r Request) (a Answer) {
	defer func() {
		if v := recover(); v != nil {
			s.Log.Error("panic: a bug in Mailseal, please report this line", "in", "control",
				"error", v)
			a = Answer{Error: "a bug in Mailseal; see the daemon's log"}
		}
	}()
	return s.Handle(ctx, r)
}

// answer writes an answer. A client that has gone does not need it.
func (s *Server) answer(nc net.Conn, a Answer) {
	a.Version, a.Error = Version, keys.Plain(keys.Mask(a.Error))
	text, err := marshal(a)
	if err == nil && len(text) > maxAnswer {
		text, err = marshal(Answer{Version: Version, Error: shorten(a.Error)})
	}
	if err != nil {
		s.Log.Error("a command on the control socket got no answer", "error", err)
		return
	}
	_ = nc.SetWriteDeadline(time.Now().Add(patience))
	_, _ = nc.Write(text)
}

// shorten cuts an error that has a line for each of a hundred thousand mistakes.
func shorten(text string) string {
	const most = 64 << 10
	if text == "" {
		return "the answer is too long"
	}
	if len(text) > most {
		return text[:most] + " … and more; mailseal check lists all"
	}
	return text
}

// readLine reads a line of at most limit bytes, without its end.
func readLine(r io.Reader, limit int) ([]byte, error) {
	b := bufio.NewReaderSize(r, limit)
	line, err := b.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return nil, fmt.Errorf("%w: a line of more than %d bytes", ErrMalformed, limit)
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("%w: the line has no end", ErrMalformed)
	case err != nil:
		return nil, fmt.Errorf("the control socket: %w", err)
	}
	return line[:len(line)-1], nil
}

// Allowed reports as an error that the process at the other end of a unix socket is neither root's
// nor our own user's.
func Allowed(nc net.Conn) error {
	c, ok := nc.(*net.UnixConn)
	if !ok {
		return errNotUnix
	}
	raw, err := c.SyscallConn()
	if err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	var uid uint32
	var uidErr error
	if err := raw.Control(func(fd uintptr) { uid, uidErr = peer(int(fd)) }); err != nil {
		return fmt.Errorf("the control socket: %w", err)
	}
	if uidErr != nil {
		return fmt.Errorf("the user of the client cannot be determined: %w", uidErr)
	}
	if uid != 0 && uid != uint32(os.Geteuid()) {
		return fmt.Errorf("user %d is neither root nor the daemon's own user, %d", uid,
			os.Geteuid())
	}
	return nil
}

var errNotUnix = errors.New("not a unix socket")
