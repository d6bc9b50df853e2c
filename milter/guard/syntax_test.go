package guard_test

import (
	"errors"
	"strings"
	"testing"

	"mailseal/milter/guard"
)

// packet is one command of a table.
type packet struct {
	code guard.Code
	data string
}

const connectData = "c.example\x004\x30\x39192.0.2.1\x00"

var (
	connected = []packet{{guard.Connect, connectData}}
	mailed    = append(connected[:1:1], packet{guard.Mail, "<>\x00"})
	inHeader  = append(mailed[:2:2], packet{guard.Header, "A\x00b\x00"})
	inBody    = append(mailed[:2:2], packet{guard.EndOfHeader, ""})
)

func TestMalformedPackets(t *testing.T) {
	for _, c := range []struct {
		name   string
		before []packet
		code   guard.Code
		data   string
		want   string
	}{
		{"a second OPTNEG", nil, guard.Negotiate, string(offer(6, 0, 0)), "OPTNEG before CONNECT"},
		{"a letter of no command", nil, 'Z', "", "unknown command 'Z'"},
		{"a code of no letter", nil, 0x01, "", "unknown command 0x01"},

		{"A12 HEADER with three strings", mailed, guard.Header, "A\x00b\x00c\x00", "not two terminated strings"},
		{"A12 HEADER with one string", mailed, guard.Header, "A\x00", "not two terminated strings"},
		{"A12 HEADER without NUL", mailed, guard.Header, "A", "not two terminated strings"},
		{"A12 HEADER not terminated", mailed, guard.Header, "A\x00b", "not two terminated strings"},
		{"A12 HEADER without a name", mailed, guard.Header, "\x00b\x00", "without a name"},
		{"A12 HEADER empty", mailed, guard.Header, "", "not two terminated strings"},
		{"HEADER of two empty strings", mailed, guard.Header, "\x00\x00", "without a name"},

		{"A15 CONNECT empty", nil, guard.Connect, "", "without a family"},
		{"A15 CONNECT without NUL", nil, guard.Connect, "host", "without a family"},
		{"A15 CONNECT without a family", nil, guard.Connect, "host\x00", "without a family"},
		{"A15 CONNECT with half a port", nil, guard.Connect, "host\x004\x00", "without one port"},
		{"A15 CONNECT without an address", nil, guard.Connect, "host\x004\x00\x01", "without one port"},
		{"A15 CONNECT of no known family", nil, guard.Connect, "host\x00x\x00\x01192.0.2.1\x00", "family 'x'"},
		{"CONNECT not terminated", nil, guard.Connect, "host\x004\x00\x01192.0.2.1", "without one port"},
		{"CONNECT with more", nil, guard.Connect, connectData + "x\x00", "without one port"},
		{"CONNECT IPv4 of family 6", nil, guard.Connect, "host\x006\x00\x01192.0.2.1\x00", "192.0.2.1"},
		{"CONNECT IPv6 of family 4", nil, guard.Connect, "host\x004\x00\x01::1\x00", "::1"},
		{"CONNECT with a name for an address", nil, guard.Connect, "host\x004\x00\x01host\x00", "host"},
		{"CONNECT of unknown family with an address", nil, guard.Connect, "host\x00U\x00\x00x\x00", "with an address"},

		{"MACRO empty", nil, guard.Macro, "", "without a command"},
		{"MACRO with half a pair", nil, guard.Macro, "Cj\x00", "not pairs"},
		{"MACRO not terminated", nil, guard.Macro, "Cj\x00x", "not pairs"},
		{"MACRO too long", nil, guard.Macro, "C" + strings.Repeat("a\x00", 40000), "are allowed"},

		{"HELO empty", connected, guard.Helo, "", "not one terminated string"},
		{"HELO not terminated", connected, guard.Helo, "host", "not one terminated string"},
		{"HELO of two strings", connected, guard.Helo, "a\x00b\x00", "not one terminated string"},
		{"MAIL empty", connected, guard.Mail, "", "not a list"},
		{"MAIL not terminated", connected, guard.Mail, "<>\x00SIZE=1", "not a list"},
		{"MAIL with too many arguments", connected, guard.Mail, strings.Repeat("a\x00", 102), "101 arguments"},
		{"RCPT empty", mailed, guard.Rcpt, "", "not a list"},
		{"UNKNOWN not terminated", connected, guard.Unknown, "XYZ", "not one terminated string"},
		{"EOH with data", mailed, guard.EndOfHeader, "x", "with 1 octets"},
		{"ABORT with data", mailed, guard.Abort, "x", "with 1 octets"},
		{"QUIT with data", nil, guard.Quit, "x", "with 1 octets"},
		{"DATA with data", mailed, guard.Data, "x", "with 1 octets"},

		{"A16 HELO first", nil, guard.Helo, "h\x00", "HELO before CONNECT"},
		{"A16 MAIL first", nil, guard.Mail, "<>\x00", "MAIL before CONNECT"},
		{"A16 CONNECT twice", connected, guard.Connect, connectData, "CONNECT between messages"},
		{"A16 RCPT before MAIL", connected, guard.Rcpt, "<>\x00", "RCPT between messages"},
		{"A16 DATA before MAIL", connected, guard.Data, "", "DATA between messages"},
		{"A16 HEADER before MAIL", connected, guard.Header, "A\x00b\x00", "HEADER between messages"},
		{"A16 EOH before MAIL", connected, guard.EndOfHeader, "", "EOH between messages"},
		{"A16 BODY before MAIL", connected, guard.Body, "x", "BODY between messages"},
		{"A16 EOB before MAIL", connected, guard.EndOfBody, "", "EOB between messages"},
		{"A16 BODY before EOH", mailed, guard.Body, "x", "BODY in the envelope"},
		{"A16 EOB before EOH", inHeader, guard.EndOfBody, "", "EOB in the header"},
		{"A16 RCPT in the header", inHeader, guard.Rcpt, "<>\x00", "RCPT in the header"},
		{"A16 DATA in the header", inHeader, guard.Data, "", "DATA in the header"},
		{"A16 HELO in the header", inHeader, guard.Helo, "h\x00", "HELO in the header"},
		{"A16 HEADER in the body", inBody, guard.Header, "A\x00b\x00", "HEADER in the body"},
		{"A16 EOH twice", inBody, guard.EndOfHeader, "", "EOH in the body"},
		{"A16 UNKNOWN in the body", inBody, guard.Unknown, "X\x00", "UNKNOWN in the body"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := open(t, defaults, func(r *rig) { r.sinks = true })
			seen := 1 // the session itself
			for _, p := range c.before {
				seen++
				if p.code == guard.Mail {
					seen++ // the ABORT before it
				}
				r.send(p.code, p.data)
				if p.code != guard.Header && p.code != guard.EndOfHeader {
					r.want(guard.Continue)
				}
			}
			// fails when the guard closes before it has all of a long one
			r.WritePacket(c.code, []byte(c.data))
			r.closed()
			err := r.end()
			if !errors.Is(err, guard.ErrMalformed) || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrMalformed with %q", err, c.want)
			}
			if more := r.filter.log(); len(more) > seen {
				t.Errorf("the filter was shown %q", more[seen:])
			}
		})
	}
}

func TestMalformedHandshake(t *testing.T) {
	for _, c := range []struct {
		name string
		code guard.Code
		data string
		want string
	}{
		{"another command", guard.Connect, connectData, "CONNECT before OPTNEG"},
		{"another protocol", 'T', " / HTTP/1.1", "DATA before OPTNEG"},
		{"two numbers", guard.Negotiate, "\x00\x00\x00\x06\x00\x00\x00\x00", "8 octets"},
		{"version 1", guard.Negotiate, string(offer(1, 0x3f, 0x7f)), "version 1"},
		{"too long", guard.Negotiate, strings.Repeat("x", 65537), "are allowed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := dial(t, defaults, nil)
			// fails when the guard closes before it has all of a long one
			r.WritePacket(c.code, []byte(c.data))
			r.closed()
			if err := r.end(); !errors.Is(err, guard.ErrMalformed) ||
				!strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want ErrMalformed with %q", err, c.want)
			}
		})
	}
}

// All that both MTAs have been seen to do out of the common order is let through.
func TestUncommonOrders(t *testing.T) {
	for _, c := range []struct {
		name    string
		packets []packet
	}{
		{"a message without a header field", []packet{{'M', "<>\x00"}, {'N', ""}, {'E', ""}}},
		{"HELO in the envelope, then ABORT", []packet{{'M', "<>\x00"}, {'H', "h\x00"}, {'A', ""},
			{'A', ""}, {'M', "<>\x00"}}},
		{"MAIL without an end before it", []packet{{'M', "<>\x00"}, {'L', "A\x00\x00"},
			{'M', "<>\x00"}, {'N', ""}, {'E', ""}}},
		{"DATA", []packet{{'M', "<>\x00"}, {'R', "<>\x00"}, {'T', ""}, {'N', ""}, {'E', ""}}},
		{"ABORT before CONNECT's successor", []packet{{'A', ""}, {'M', "<>\x00"}}},
		{"macros of an ABORT", []packet{{'D', "A"}, {'A', ""}, {'D', "Qi\x00x\x00"}}},
		{"an empty piece of body", []packet{{'M', "<>\x00"}, {'N', ""}, {'B', ""}, {'E', ""}}},
	} {
		for _, sinks := range []bool{false, true} {
			r := open(t, defaults, func(r *rig) { r.sinks = sinks })
			r.hello()
			for _, p := range c.packets {
				r.send(p.code, p.data)
			}
			if err := r.quit(); err != nil {
				t.Errorf("%s, sinks %v: %v", c.name, sinks, err)
			}
		}
	}
}
