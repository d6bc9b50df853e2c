package milter

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"strconv"
	"sync"
	"syscall"

	"mailseal/milter/action"

	"github.com/coreos/go-systemd/v22/activation"
)

// ListenOptions say where to listen, and for what.
type ListenOptions struct {
	Address string      // see ParseAddress
	Role    action.Role // whose mail comes in here; RoleAuto: see Roles
	Mode    fs.FileMode // permission bits of a unix socket; 0: 0660
	User    string      // owner of a unix socket, by name or number; "": ours
	Group   string      // group of a unix socket, likewise
}

// Listener is a socket on which MTAs reach us.
type Listener struct {
	net.Listener
	Role     action.Role
	Warnings []string // what an MTA may dislike about it, in sentences with a way out

	address Address
	name    string       // String, which every message asks for
	release func() error // removes the socket; nil if it is not ours
	lacking sync.Once    // guards the message about features that MTAs lack
	// the last connection had to wait for a place; only the accepting goroutine looks at it
	full bool
}

// isInherited reports whether systemd holds the socket, and goes on listening on it when we do not.
func (l *Listener) isInherited() bool { return l.address.Network == "fd" }

// ErrInUse means that another process serves the address.
var ErrInUse = errors.New("the address is in use by another process")

// Listen opens a socket. It replaces a unix socket that no process serves; for one that is served
// the error wraps ErrInUse; any other file is not changed. The socket has its mode, user and group
// before a client can connect. Errors name the address and, if there is one, the remedy.
func Listen(ctx context.Context, o ListenOptions) (*Listener, error) {
	a, err := ParseAddress(o.Address)
	if err != nil {
		return nil, err
	}
	if !o.Role.IsValid() {
		return nil, fmt.Errorf("listen on %s: %s", a, o.Role)
	}
	l := &Listener{Role: o.Role, address: a}
	switch a.Network {
	case "unix":
		err = l.listenUnix(ctx, o)
	case "fd":
		l.Listener, err = inherited(a.Target)
	default:
		err = l.listenTCP(ctx)
	}
	if err != nil {
		return nil, fmt.Errorf("listen on %s: %w", a, err)
	}
	l.name = l.named()
	return l, nil
}

func (l *Listener) listenTCP(ctx context.Context) (err error) {
	if err := CheckHost(ctx, l.address.Network, l.address.Target); err != nil {
		return err
	}
	l.Listener, err = new(net.ListenConfig).Listen(ctx, l.address.Network, l.address.Target)
	if isInUse(err) {
		return fmt.Errorf("%w: %w", ErrInUse, err)
	}
	return err
}

// CheckHost reports why nothing can listen on the host of a target, host and port: it has no
// address, or one that is not this host's. It listens on a free port of that host for a moment;
// whether the target's own port is free it does not say.
func CheckHost(ctx context.Context, network, target string) error {
	host, _, err := net.SplitHostPort(target)
	if err != nil {
		return err
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, net.JoinHostPort(host, "0"))
	switch {
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return fmt.Errorf("%s is not an address of this host; \"ip address\" lists those that are",
			host)
	case err != nil:
		return err
	}
	return l.Close()
}

// CheckOwner reports why a unix socket cannot be given to a user, or to a group, by name or number;
// "" is ours.
func CheckOwner(user, group string) error {
	_, err := lookUpOwner(ListenOptions{User: user, Group: group})
	return err
}

// String returns the address, in the form of ParseAddress, with the port that was chosen if it was
// 0.
func (l *Listener) String() string { return l.name }

func (l *Listener) named() string {
	if tcp, ok := l.Addr().(*net.TCPAddr); ok && l.address.Network != "fd" {
		return Address{l.address.Network, tcp.String()}.String()
	}
	return l.address.String()
}

// IsAt reports whether the listener was opened for an address.
func (l *Listener) IsAt(address string) bool {
	a, err := ParseAddress(address)
	return err == nil && a == l.address
}

// Close stops listening and removes a unix socket, unless another process has put its own in its
// place.
func (l *Listener) Close() error {
	if l.release == nil {
		return l.Listener.Close()
	}
	return errors.Join(l.release(), l.Listener.Close())
}

// handedOver are the sockets of systemd, by name and number. They can be taken from the environment
// only once.
var handedOver = sync.OnceValue(func() []*os.File { return activation.Files(true) })

// inherited returns the socket that systemd handed over under a name (FileDescriptorName=) or
// number, 3 being the first.
func inherited(name string) (net.Listener, error) {
	files := handedOver()
	for i, f := range files {
		if f == nil || f.Name() != name && strconv.Itoa(3+i) != name {
			continue
		}
		return net.FileListener(f) // which removes no socket: it is systemd's, for the next of us
	}
	var have []string
	for _, f := range files {
		have = append(have, f.Name())
	}
	if len(have) == 0 {
		return nil, errors.New("systemd passed no socket; start the socket unit, which starts " +
			"the daemon: systemctl start mailseal.socket")
	}
	return nil, fmt.Errorf("systemd passed the sockets %q, and not this one; give its unit "+
		"FileDescriptorName=%s", have, name)
}
