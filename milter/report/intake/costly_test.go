package intake

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"mailseal/milter/report"
	"mailseal/milter/report/store"
)

// Small mails from strangers must not cost much to read. Costs are counted, not timed.

// TestLooksAreBounded counts how often it is looked at what might begin another report.
func TestLooksAreBounded(t *testing.T) {
	const open = "<feedback><record>"
	for _, tc := range []struct {
		name, text string
		kind       Kind
		looks      int
	}{
		{"empty lines in a damaged report",
			`{"organization-name":"x","report-id":"1","policies":[{}]` +
				strings.Repeat("\n", 1<<18), TLS, 0},
		{"lines with objects", `{"organization-name":"x","policies":[` +
			strings.Repeat("\n {\"policy\":{}},", 10_000), TLS, 0},
		{"objects behind a report", tlsText("1", 7) + strings.Repeat("{}", 10_000), TLS, maxLooks},
		{"declarations in front of a report", "<feedback>" + strings.Repeat("<?xml ", 10_000), Aggregate, 0},
		{"declarations", open + strings.Repeat("<?xml ", 10_000), Aggregate, maxLooks},
		{"ends", open + strings.Repeat("</feedback>‹", 10_000), Aggregate, maxLooks},
		{"two reports", string(xml("1")) + "\n" + string(xml("2")), Aggregate, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			s := newSplitter(strings.NewReader(tc.text), mark{kind: tc.kind}, func(mark) {},
				func() bool { return false })
			if _, err := io.Copy(io.Discard, s); err != nil {
				t.Fatal(err)
			}
			if got := min(maxLooks-s.looks, maxLooks); got != tc.looks {
				t.Errorf("%d looks, want %d", got, tc.looks)
			}
		})
	}
}

// TestReportBehindManyLooks finds a report behind some things that begin like one, and none behind
// thousands.
func TestReportBehindManyLooks(t *testing.T) {
	for n, want := range map[int]string{maxLooks / 2: "tls 1, tls 1", 10_000: "tls 1"} {
		// The objects are further from the next report than is looked at.
		text := tlsText("1", 7) + strings.Repeat("{}", n) + strings.Repeat(" ", sniffed) +
			tlsText("2", 8)
		if got := found(t, []byte(text)); got != want {
			t.Errorf("%d: got %q, want %q", n, got, want)
		}
	}
	text := string(xml("1")) + strings.Repeat("</feedback>x", 10_000) + string(xml("2"))
	// the tag of the next one needs no look
	if got := found(t, []byte(text)); got != "aggregate 7, aggregate 7" {
		t.Errorf("got %q", got)
	}
}

// TestZipEndsAreBounded holds that few ends of zip files are tried, and that little is read behind
// each.
func TestZipEndsAreBounded(t *testing.T) {
	ends := func(n int) []byte {
		out := make([]byte, 0, n*22)
		for i := range n {
			at := i * 22
			out = append(out, "PK\x05\x06\x00\x00\x00\x00\x00\x00\x00\x00"...)
			out = append(out, byte(at), byte(at>>8), byte(at>>16), 0, 0, 0, 0, 0)
			out = append(out, 0, 0)
		}
		return out
	}
	joined := zipped("b.xml", string(xml("2")))
	for n, isFound := range map[int]bool{maxParts - 1: true, maxParts + 1: false} {
		data := append(ends(n), joined...)
		if got := endOfZip(data); (got == 22*n) != isFound {
			t.Errorf("%d ends: the first file ends at %d of %d", n, got, len(data))
		}
	}
	far := append(make([]byte, sniffed), joined...)
	if beginsFile(far) || !beginsFile(far[sniffed/2:]) {
		t.Error("an archive is looked for behind any number of zeros, or behind few of them not")
	}
}

// TestMailsOfMailboxAreParts counts mails of a mailbox in which there is nothing.
func TestMailsOfMailboxAreParts(t *testing.T) {
	box := strings.Repeat("From a\nContent-Type: multipart/mixed; boundary=b\n\n", 5000)
	w := &walker{budget: newBudget(time.Now)}
	err := w.mailbox([]string{"x"}, []byte(box), 0, 0)
	if err == nil || len(w.found) > maxParts+1 {
		t.Errorf("%d parts, %v", len(w.found), err)
	}
}

// slow is a clock that goes on whenever it is looked at.
type slow struct {
	now  time.Time
	step time.Duration
}

func (c *slow) time() time.Time {
	c.now = c.now.Add(c.step)
	return c.now
}

// A mail that takes too long to read is kept as hostile, and the next one is taken.
func TestLateMail(t *testing.T) {
	stores(t, func(t *testing.T, s *store.Store) {
		clock := &slow{now: now, step: time.Hour}
		i := &Intake{Store: s, clock: clock.time}
		for _, data := range [][]byte{xml("1"), gz(xml("1")), []byte(tlsReport),
			[]byte(top + multi("mixed", attached("a/b", gz(xml("1")))))} {
			got := take(t, i, "", "org.example", append(data, "\r\n"...))
			if got.Kind != Hostile || got.Reports+got.TLS != 0 || len(got.Problems) != 1 ||
				!strings.Contains(got.Problems[0], "takes too long to read: more than 60 s") {
				t.Errorf("a slow mail: %+v", got)
			}
		}
		raws, err := s.Raws(t.Context())
		if err != nil || len(raws) != 4 {
			t.Errorf("%d mails are kept as they came, %v", len(raws), err)
		}
		clock.step = time.Millisecond
		if got := take(t, i, "", "org.example", xml("2")); got.Reports != 1 || total(t, s) != 7 {
			t.Errorf("the next mail: %+v", got)
		}
		if err := i.Again(t.Context(), func(*Taken) {}); err != nil || total(t, s) != 14 {
			t.Errorf("read again: %v, %d messages", err, total(t, s))
		}
	})
}

// The time that the store needs is not that of the mail.
func TestStoreTakesLong(t *testing.T) {
	clock := &slow{now: now}
	data := bytes.Repeat(xml("1"), 3)
	n := 0
	for p := range eachPart(lookByClock("x", data, clock.time)) {
		_, err := p.ReadAggregate(nil, func(*report.Row) error {
			clock.now = clock.now.Add(time.Hour)
			return nil
		})
		if err != nil {
			t.Error(err)
		}
		n++
	}
	if n != 3 {
		t.Errorf("%d reports were read, want 3", n)
	}
}

// TestSplitterStops holds that the loops that look for another report end when it is late.
func TestSplitterStops(t *testing.T) {
	for _, tc := range []struct {
		kind Kind
		text string
	}{{Aggregate, "<"}, {TLS, "\n"}} {
		asked := 0
		late := func() bool {
			asked++
			return true
		}
		s := newSplitter(strings.NewReader(""), mark{kind: tc.kind}, func(mark) {}, late)
		window := bytes.Repeat([]byte(tc.text), 64<<10)
		if n, isBoundary := s.scan(window, len(window)); n != len(window) || isBoundary ||
			asked != 1 || s.tested > 1024 {
			t.Errorf("%s: %d bytes, %t; asked %d times, %d tested", tc.kind, n, isBoundary, asked,
				s.tested)
		}
	}
}

// TestJoinedWide reads joined reports of all encodings: each keeps its letters and its digest.
func TestJoinedWide(t *testing.T) {
	const org = "Größe 漢"
	plain := strings.Replace(string(xml("1")), "<org_name>Org<", "<org_name>"+org+"<", 1)
	quad := func(text string, isBig bool) string {
		var b bytes.Buffer
		for _, r := range text {
			if isBig {
				b.Write([]byte{byte(r >> 24), byte(r >> 16), byte(r >> 8), byte(r)})
			} else {
				b.Write([]byte{byte(r), byte(r >> 8), byte(r >> 16), byte(r >> 24)})
			}
		}
		return b.String()
	}
	for name, encode := range map[string]func(string) string{
		"UTF-8":    func(s string) string { return s },
		"UTF-16LE": func(s string) string { return wideText(s, false) },
		"UTF-16BE": func(s string) string { return wideText(s, true) },
		"UTF-32LE": func(s string) string { return quad(s, false) },
		"UTF-32BE": func(s string) string { return quad(s, true) },
	} {
		for _, gap := range []string{"", "\n", " \r\n\r\n\x00", "\ufeff"} {
			t.Run(fmt.Sprintf("%s %q", name, gap), func(t *testing.T) {
				one, two := encode(plain), encode(strings.Replace(plain, ">1<", ">2<", 1))
				var got, alone []string
				for p := range eachPart(Look("x", []byte(one+encode(gap)+two+encode(gap)+one))) {
					f, err := p.ReadAggregate(nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					got = append(got, f.Metadata.Org+" "+f.Digest)
				}
				for _, text := range []string{one, two, one} {
					f, err := Look("x", []byte(text))[0].ReadAggregate(nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					alone = append(alone, org+" "+f.Digest)
				}
				if gap == "\ufeff" { // the mark is part of the digest
					for i := range got {
						got[i], alone[i] = strings.Fields(got[i])[1], strings.Fields(alone[i])[1]
					}
				}
				if strings.Join(got, "\n") != strings.Join(alone, "\n") {
					t.Errorf("got\n%s, want\n%s", strings.Join(got, "\n"),
						strings.Join(alone, "\n"))
				}
			})
		}
	}
}
