package rig

import (
	"fmt"
	"net"
	"os"
	"path"
	"strings"
	"testing"

	"github.com/emersion/go-milter"
)

// standIn is the smallest milter that shows whether it was asked, and what it was told: it adds a
// field at the top.
type standIn struct {
	milter.NoOpMilter
	family, addr, sender, auth, subject string
}

func (s *standIn) Connect(_, family string, _ uint16, addr net.IP,
	_ *milter.Modifier) (milter.Response, error) {
	s.family, s.addr = family, addr.String()
	return milter.RespContinue, nil
}

func (s *standIn) MailFrom(from string, m *milter.Modifier) (milter.Response, error) {
	s.sender, s.auth = from, m.Macros["{auth_authen}"]
	return milter.RespContinue, nil
}

func (s *standIn) Header(name, value string, _ *milter.Modifier) (milter.Response, error) {
	if name == "Subject" {
		s.subject = value
	}
	return milter.RespContinue, nil
}

func (s *standIn) Body(m *milter.Modifier) (milter.Response, error) {
	if strings.Contains(s.subject, "hold me") {
		m.Quarantine("as asked")
	}
	m.InsertHeader(0, "X-Stand-In", fmt.Sprintf("%s %s from=%s auth=%s", s.family, s.addr, s.sender,
		s.auth))
	return milter.RespAccept, nil
}

// serveStandIn serves the stand-in where the MTA's configuration looks for its milter.
func serveStandIn(t *testing.T, m *MTA, o Options) {
	t.Helper()
	l := listenMilter(t, m, o)
	s := &milter.Server{
		NewMilter: func() milter.Milter { return &standIn{} },
		Actions:   milter.OptAddHeader | milter.OptQuarantine,
	}
	t.Cleanup(func() { l.Close() })
	go s.Serve(l)
}

func listenMilter(t *testing.T, m *MTA, o Options) net.Listener {
	t.Helper()
	if o.Milter != "" {
		l, err := net.Listen("tcp", o.Milter)
		if err != nil {
			t.Fatal(err)
		}
		return l
	}
	m.Directory(path.Dir(m.MilterSocket()), 0o755, "root", "root")
	address := &net.UnixAddr{Net: "unix", Name: shortPath(t, m.Path(m.MilterSocket()))}
	l, err := net.ListenUnix("unix", address)
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	if err := os.Chmod(address.Name, 0o660); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(address.Name, 0, gid(t, "postfix")); err != nil {
		t.Fatal(err)
	}
	return l
}
