package guard_test

import (
	"errors"
	"strings"
	"testing"

	gomilter "github.com/emersion/go-milter"

	"mailseal/milter/guard"
)

// What the guard is told itself is what the MTA would be told by way of the library.
func TestEditsAsTheLibraryWritesThem(t *testing.T) {
	type editor interface {
		ChangeHeader(index int, name, value string) error
		InsertHeader(index int, name, value string) error
		Quarantine(reason string) error
	}
	edits := func(e editor) error {
		return errors.Join(
			e.ChangeHeader(2, "Authentication-Results", ""),
			e.InsertHeader(0, "A", " one\r\n\ttwo\r\n three"),
			e.InsertHeader(1, "B", " with\n\tLF"),
			e.InsertHeader(0, "Empty", ""),
			e.InsertHeader(0, "Long", " "+strings.Repeat("y", 60000)),
			e.Quarantine("a reason"),
		)
	}
	for _, protocol := range []uint32{allProtocol, 0} {
		var told [2][]string
		for way := range told {
			r := dial(t, defaults, nil)
			r.filter.eom = func(m *gomilter.Modifier, c *guard.Conn) (gomilter.Response, error) {
				if way == 0 {
					return always{gomilter.RespAccept}, edits(m)
				}
				return nil, errors.Join(edits(c), c.Answer(guard.Accept, nil))
			}
			r.send(guard.Negotiate, string(offer(6, allActions, protocol)))
			r.want(guard.Negotiate)
			r.hello()
			r.message("")
			if protocol == 0 {
				r.want(guard.Continue) // the field
				r.want(guard.Continue) // the end of the header
			}
			for range 7 {
				p, err := r.ReadPacket()
				if err != nil {
					t.Fatal(err)
				}
				told[way] = append(told[way], string(p.Code)+string(p.Data))
			}
			if err := r.quit(); err != nil {
				t.Error(err)
			}
		}
		for i := range told[0] {
			if told[0][i] != told[1][i] {
				t.Errorf("protocol %#x: got %.80q, the library writes %.80q", protocol, told[1][i],
					told[0][i])
			}
		}
	}
}

// An edit at the wrong time or one that an MTA would misread is refused, and the filter may still
// defer the message; a second verdict ends the connection.
func TestEditsRefused(t *testing.T) {
	r := open(t, defaults, nil)
	var early, nul, second error
	r.filter.eom = func(_ *gomilter.Modifier, c *guard.Conn) (gomilter.Response, error) {
		nul = c.InsertHeader(0, "A", " x\x00y")
		if err := c.Answer(guard.TempFail, nil); err != nil {
			return nil, err
		}
		early = c.InsertHeader(0, "A", " x")
		second = c.Answer(guard.Accept, nil)
		return nil, nil
	}
	r.hello()
	r.message("")
	if err := r.Flush(); err != nil {
		t.Fatal(err)
	}
	r.end()
	for name, err := range map[string]error{"NUL": nul, "after the verdict": early,
		"second verdict": second} {
		if !errors.Is(err, guard.ErrNoAnswer) {
			t.Errorf("%s: %v, want ErrNoAnswer", name, err)
		}
	}
}
