package daemon

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"mailseal/milter/domain"
	"mailseal/milter/message"
	"mailseal/milter/sign"
)

// look asks the daemon's signer for the keys of a domain, as it does for each message.
func (s *lossSite) look(of string) error {
	s.t.Helper()
	p := s.daemon.parts.Load()
	signer, err := p.Signer()
	if err != nil {
		s.t.Fatal(err)
	}
	q := sign.Query{Author: message.Address{Local: "a", Domain: domain.Name(of)}}
	found, _, err := signer.Look(s.t.Context(), signer.Match(q), q)
	if err == nil && (len(found) != 1 || len(found[0].Keys) != 1 || found[0].Keys[0].Domain != of) {
		s.t.Errorf("%s: signs with %+v", of, found)
	}
	return err
}

// TestDomainKeys holds that a domain signs where its file is, goes unsigned where it never was, and
// is deferred where it is lost, over a restart too, until "mailseal reload --accept".
func TestDomainKeys(t *testing.T) {
	for _, name := range []string{"all", "mail._domainkey.%"} {
		t.Run(name, func(t *testing.T) {
			s := newLossSite(t, 0, func(s *lossSite) {
				for _, d := range []string{"one.example", "two.example"} {
					if err := os.MkdirAll(filepath.Join(s.dir, "keys", d), 0o700); err != nil {
						t.Fatal(err)
					}
					s.write("keys/"+d+"/mail.pem", inline(0))
				}
				s.write("mailseal.toml", s.head()+fmt.Sprintf(lossListen, s.dir)+fmt.Sprintf(
					"[keys.%q]\nselector = \"mail\"\nfile = \"keys/%%/mail.pem\"\n[[sign]]\nfrom "+
						"= [\"*\"]\nkeys = [%[1]q]\n", name))
			})
			expect := func(when, of string, want error) {
				t.Helper()
				if err := s.look(of); !errors.Is(err, want) {
					t.Errorf("%s, %s: got %v, want %v", when, of, err, want)
				}
			}
			expect("at first", "one.example", nil)
			expect("at first", "three.example", sign.ErrNoRule)
			for _, d := range []string{"one.example", "two.example"} {
				if err := os.RemoveAll(filepath.Join(s.dir, "keys", d)); err != nil {
					t.Fatal(err)
				}
			}
			expect("lost", "one.example", sign.ErrUnsigned)
			expect("gone before it signed", "two.example", sign.ErrNoRule)

			if err := s.daemon.writeSigned(t.Context()); err != nil {
				t.Fatal(err)
			}
			s.daemon.closeListeners()
			d, err := build(t.Context(), filepath.Join(s.dir, "mailseal.toml"), s.log)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(d.closeListeners)
			s.daemon = d
			expect("after a restart", "one.example", sign.ErrUnsigned)
			if _, err := d.reload(t.Context(), false); err != nil && !errors.Is(err, ErrRefused) {
				t.Fatal(err)
			}
			expect("after a reload", "one.example", sign.ErrUnsigned)
			if _, err := d.reload(t.Context(), true); err != nil {
				t.Fatal(err)
			}
			expect("after --accept", "one.example", sign.ErrNoRule)
			if err := os.RemoveAll(filepath.Join(s.dir, "keys")); err != nil {
				t.Fatal(err)
			}
			expect("no directory", "one.example", sign.ErrUnsigned)
			if log := s.log.String(); strings.Contains(log, "panic") {
				t.Error(log)
			}
		})
	}
}
