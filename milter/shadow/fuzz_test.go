package shadow

import (
	"bytes"
	"strings"
	"testing"

	"mailseal/milter/guard"
)

// FuzzNegotiation has any packet go through any negotiation: nothing panics, what is not to be
// translated stays as it is, and what is translated loses or gains one space, or macros.
func FuzzNegotiation(f *testing.F) {
	f.Add(byte('L'), []byte("Subject\x00 hello\x00"))
	f.Add(byte('L'), []byte("Subject\x00"))
	f.Add(byte('i'), []byte("\x00\x00\x00\x01X\x00\x00"))
	f.Add(byte('m'), []byte("\x00\x00\x00\x01X\x00\x00"))
	f.Add(byte('m'), []byte("\x00\x00"))
	f.Add(byte('h'), []byte("X\x00y\x00"))
	f.Add(byte('D'), []byte("Mi\x00Q1\x00{auth_type}\x00PLAIN\x00"))
	f.Add(byte('D'), []byte("M{auth_type}"))
	f.Add(byte('O'), []byte("\x00\x00\x00\x06\x00\x00\x01\xff\x00\x1f\xff\xff\x00\x00\x00\x02i j\x00"))
	f.Fuzz(func(t *testing.T, code byte, data []byte) {
		p := guard.Packet{Code: guard.Code(code), Data: data}
		offer, err1 := guard.ParseOffer(data)
		theirs, err2 := guard.ParseAgreement(data)
		if err1 == nil && err2 == nil {
			d := negotiate(offer, theirs)
			if again, err := guard.ParseAgreement(d.optneg(data)); err != nil ||
				again.Protocol != d.mta.Protocol {
				t.Errorf("%q becomes %+v, %v, want %+v", data, again, err, d.mta)
			}
		}
		plain, translating := negotiation{}, negotiation{spaces: true, more: true}
		translating.theirs.Macros[guard.StageMail] = []string{"i"}
		for _, way := range []func(*negotiation, guard.Packet) [][]byte{(*negotiation).toUpstream,
			(*negotiation).toMTA} {
			if got := bytes.Join(way(&plain, p), nil); !bytes.Equal(got, data) {
				t.Errorf("%q becomes %q though nothing is to be translated", data, got)
			}
			if got := bytes.Join(way(&translating, p), nil); p.Code != guard.Macro &&
				max(len(got), len(data))-min(len(got), len(data)) > 1 {
				t.Errorf("%q becomes %q", data, got)
			}
		}
		s := side{}
		s.add(p)
		s.decide(guard.EndOfBody, p)
		newComparer(nil).compare(s.outcome(), Outcome{}, false)
	})
}

// FuzzReadLog reads any log: nothing panics, and no line counts twice.
func FuzzReadLog(f *testing.F) {
	f.Add("time=1 level=INFO msg=same author=a.example\n")
	f.Add("time=2 msg=differs sender=\"a \\\"b@c\" in=signed,fields\n")
	f.Add("time=\"\n{\"msg\":\"not judged\",\"why\":\"our filter: x\"}\nmsg=\"not logged\" entries=x")
	f.Fuzz(func(t *testing.T, log string) {
		var s Summary
		if err := s.ReadLog(strings.NewReader(log)); err != nil {
			t.Fatal(err)
		}
		if n := s.Messages + s.Aborted + s.Sessions + s.Unreached + s.Broken; n > strings.Count(log,
			"\n")+1 {
			t.Errorf("%d lines counted", n)
		}
	})
}
