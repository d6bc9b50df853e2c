package miltertest

import (
	"context"
	"fmt"
	"net"
	"strings"
)

// address reads a milter's address as its configuration or an MTA's writes it.
func address(s string) (network, target string, err error) {
	kind, rest, ok := strings.Cut(s, ":")
	if !ok || rest == "" {
		return "", "", badAddress(s)
	}
	switch strings.ToLower(kind) {
	case "unix", "local":
		return "unix", rest, nil
	case "inet", "inet6":
		network := map[string]string{"inet": "tcp", "inet6": "tcp6"}[strings.ToLower(kind)]
		if port, host, ok := strings.Cut(rest, "@"); ok {
			return network, net.JoinHostPort(strings.Trim(host, "[]"), port), nil
		}
		if host, port, err := net.SplitHostPort(rest); err == nil { // as Postfix writes it
			return network, net.JoinHostPort(host, port), nil
		}
		return network, net.JoinHostPort("localhost", rest), nil
	}
	return "", "", badAddress(s)
}

func badAddress(s string) error {
	return fmt.Errorf(
		"%q is not a milter's address: want unix:/path, local:/path, inet:port@host, inet6:port@host or inet:host:port",
		s,
	)
}

// CheckAddress returns what is wrong with a milter's address, without a connection to it.
func CheckAddress(s string) error {
	_, _, err := address(s)
	return err
}

// dial connects to a milter's address.
func dial(ctx context.Context, s string) (net.Conn, error) {
	network, target, err := address(s)
	if err != nil {
		return nil, err
	}
	return new(net.Dialer).DialContext(ctx, network, target)
}
