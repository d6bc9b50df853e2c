package guard_test

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"mailseal/milter/guard"
)

func TestA09Agree(t *testing.T) {
	w := guard.DefaultWishes()
	for _, c := range []struct {
		name     string
		offer    guard.Offer
		version  uint32
		actions  guard.Action
		protocol guard.Protocol
		missing  []string // beginnings of sentences
	}{
		{"both MTAs", guard.Offer{Version: 6, Actions: allActions, Protocol: allProtocol}, 6,
			w.Actions, w.Protocol, nil},
		{"a later version", guard.Offer{Version: 9, Actions: 0xffffffff, Protocol: 0xffffffff}, 6,
			w.Actions, w.Protocol, nil},
		{"Postfix with milter_protocol 2", guard.Offer{Version: 2, Actions: 0x3f, Protocol: 0x7f}, 2,
			guard.AddHeaders | guard.ChangeHeaders | guard.Quarantine, 0,
			[]string{"no SETSYMLIST", "no HDR_LEADSPC", "no NR_HDR", "no NR_EOH", "no NR_BODY",
				"no NODATA", "no NOUNKNOWN", "no SKIP"}},
		{"no QUARANTINE", guard.Offer{Version: 6, Actions: allActions &^ guard.Quarantine, Protocol: allProtocol}, 6,
			w.Actions &^ guard.Quarantine, w.Protocol,
			[]string{"no QUARANTINE: a message cannot be held"}},
		{"nothing", guard.Offer{Version: 6}, 6, 0, 0,
			[]string{"no ADDHDRS", "no CHGHDRS", "no QUARANTINE", "no SETSYMLIST", "no HDR_LEADSPC",
				"no NR_HDR", "no NR_EOH", "no NR_BODY", "no NODATA", "no NOUNKNOWN", "no SKIP"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := guard.Agree(c.offer, w)
			if a.Version != c.version || a.Actions != c.actions || a.Protocol != c.protocol {
				t.Errorf("got version %d, actions %#x, protocol %#x; want %d, %#x, %#x",
					a.Version, a.Actions, a.Protocol, c.version, c.actions, c.protocol)
			}
			if len(a.Missing) != len(c.missing) {
				t.Fatalf("missing %q, want %q", a.Missing, c.missing)
			}
			for i, begin := range c.missing {
				if !strings.HasPrefix(a.Missing[i], begin) {
					t.Errorf("missing %q, want %q…", a.Missing[i], begin)
				}
			}
		})
	}
}

// Every part of the protocol that an MTA may offer is only agreed on when it was offered.
func TestA09NothingThatWasNotOffered(t *testing.T) {
	all := guard.Wishes{Actions: 0xffffffff, Protocol: 0xffffffff}
	for bit := range 32 {
		o := guard.Offer{Version: 6, Actions: 1 << bit, Protocol: 1 << bit}
		if a := guard.Agree(o, all); a.Actions != o.Actions || a.Protocol != o.Protocol {
			t.Errorf("bit %d: got %#x, %#x", bit, a.Actions, a.Protocol)
		}
	}
}

func TestA09Macros(t *testing.T) {
	many := slices.Repeat([]string{"x"}, 51)
	for _, c := range []struct {
		name   string
		macros map[guard.Stage][]string
		offer  guard.Action
		want   string // what follows the three numbers
		misses int
	}{
		{"by stage", map[guard.Stage][]string{guard.StageMail: {"i", "{auth_type}"},
			guard.StageConnect: {"j"}}, allActions,
			"\x00\x00\x00\x00j\x00\x00\x00\x00\x02i {auth_type}\x00", 0},
		{"the end of the message brings that of the header",
			map[guard.Stage][]string{guard.StageEndOfMessage: {"i"}}, allActions,
			"\x00\x00\x00\x05i\x00\x00\x00\x00\x06i\x00", 0},
		{"and the other way round", map[guard.Stage][]string{guard.StageEndOfHeader: {"i"}}, allActions,
			"\x00\x00\x00\x05i\x00\x00\x00\x00\x06i\x00", 0},
		{"more than Sendmail takes", map[guard.Stage][]string{guard.StageHelo: many}, allActions,
			"\x00\x00\x00\x01" + strings.TrimSuffix(strings.Repeat("x ", 50), " ") + "\x00", 1},
		{"not offered", map[guard.Stage][]string{guard.StageMail: {"i"}}, 0, "", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := guard.Agree(guard.Offer{Version: 6, Actions: c.offer},
				guard.Wishes{Actions: guard.SetMacros, Macros: c.macros})
			if got := string(a.Data()[12:]); got != c.want {
				t.Errorf("got  %q\nwant %q", got, c.want)
			}
			if len(a.Missing) != c.misses {
				t.Errorf("missing %q", a.Missing)
			}
		})
	}
}

func TestDefaultWishesSuitSendmail(t *testing.T) {
	w := guard.DefaultWishes()
	for stage, names := range w.Macros {
		if len(names) > 50 {
			t.Errorf("stage %d: %d names", stage, len(names))
		}
	}
	if w.Macros[guard.StageEndOfHeader] == nil || w.Macros[guard.StageEndOfMessage] == nil {
		t.Error("Sendmail sends the end of the message's macros only when there is a list for " +
			"the end of the header too")
	}
	a := guard.Agree(guard.Offer{Version: 6, Actions: allActions, Protocol: allProtocol}, w)
	if !a.Has(guard.LeadingSpace|guard.NoReplyHeader|guard.NoReplyEOH|guard.NoReplyBody|
		guard.NoData|guard.NoUnknown|guard.Skip) ||
		!a.May(guard.AddHeaders|guard.ChangeHeaders|guard.Quarantine|guard.SetMacros) {
		t.Errorf("got %#x, %#x", a.Actions, a.Protocol)
	}
	for _, answered := range []guard.Code{guard.Connect, guard.Helo, guard.Mail, guard.Rcpt,
		guard.EndOfBody} {
		if !a.Answers(answered) {
			t.Errorf("%v is not answered", answered)
		}
	}
	for _, silent := range []guard.Code{guard.Macro, guard.Abort, guard.Quit, guard.Header,
		guard.EndOfHeader, guard.Body} {
		if a.Answers(silent) {
			t.Errorf("%v is answered", silent)
		}
	}
}

// A20: the version in the answer is the lesser of ours and the MTA's.
func TestA20Version(t *testing.T) {
	for _, v := range []uint32{2, 4, 6, 7} {
		r := dial(t, defaults, nil)
		r.send(guard.Negotiate, string(offer(v, allActions, allProtocol)))
		if data := r.want(guard.Negotiate); data[3] != byte(min(v, 6)) {
			t.Errorf("offered %d, answered %d", v, data[3])
		}
		if err := r.quit(); err != nil {
			t.Error(err)
		}
	}
}

// Without HDR_LEADSPC the MTA takes one space away and puts one before what it is sent.
func TestLeadingSpace(t *testing.T) {
	fields := []struct{ sent, with, without string }{
		{"value", "value", " value"},
		{" two", " two", "  two"},
		{"\ttab", "\ttab", "\ttab"},
		{"\n fold", "\n fold", "\n fold"},
		{"", "", ""},
	}
	for _, leading := range []guard.Protocol{0, guard.LeadingSpace} {
		for _, sinks := range []bool{false, true} {
			r := dial(t, defaults, func(r *rig) {
				r.sinks = sinks
				r.filter.eom = addFields
			})
			r.send(guard.Negotiate, string(offer(6, allActions,
				uint32(leading|guard.NoReplyHeader|guard.NoReplyEOH|guard.NoReplyBody))))
			r.want(guard.Negotiate)
			r.hello()
			r.ask(guard.Mail, "<>\x00")
			want := []string{"NEW", "CONNECT client.example tcp4 12345 192.0.2.1",
				"HELO client.example", "ABORT", "MAIL <> "}
			for _, f := range fields {
				r.send(guard.Header, "X\x00"+f.sent+"\x00")
				if leading != 0 {
					want = append(want, "HEADER X:"+f.with)
				} else {
					want = append(want, "HEADER X:"+f.without)
				}
			}
			r.send(guard.EndOfHeader, "")
			r.send(guard.EndOfBody, "")
			wantAdded(t, r, leading != 0)
			if err := r.quit(); err != nil {
				t.Error(err)
			}
			wantEvents(t, r, append(want, "EOH", "EOM")...)
		}
	}
}

func wantAdded(t *testing.T, r *rig, leading bool) {
	t.Helper()
	space := ""
	if leading {
		space = " "
	}
	for _, want := range []struct {
		code guard.Code
		data string
	}{
		{guard.AddHeader, "X\x00" + space + "y\x00"}, {guard.InsertHeader, "\x00\x00\x00\x00X\x00\tz\x00"},
		{guard.ChangeHeader, "\x00\x00\x00\x02X\x00\x00"},
		{guard.ChangeHeader, "\x00\x00\x00\x01X\x00" + space + " w\x00"},
	} {
		if got := r.want(want.code); !bytes.Equal(got, []byte(want.data)) {
			t.Errorf("edit %v: got %q, want %q", want.code, got, want.data)
		}
	}
	r.want(guard.Accept)
}
