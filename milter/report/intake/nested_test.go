package intake

import (
	"fmt"
	"io"
	"strings"
	"testing"

	"mailseal/milter/report"
)

// nest builds a file as a program says that a fuzzer writes: each byte packs what is there once
// more, joins another report to it, or damages it. It returns the reports in it; -1 if that is not
// certain.
func nest(program []byte) (data []byte, reports int) {
	data, reports = xml("0"), 1
	layers, nesting, isText := 0, 0, true
	for n, op := range program {
		if len(data) > 1<<20 {
			break
		}
		switch op % 10 {
		case 0:
			data, layers, isText = gz(data), layers+1, false
		case 1:
			data, layers, isText = zipped("a", string(data)), layers+1, false
		case 2:
			data, layers, isText = tarred("d/a", data), layers+1, false
		case 3:
			data, isText = []byte(top+attached("application/octet-stream", data)), false
			nesting++
		case 4:
			data, isText = []byte(top+multi("mixed", human, attached("application/gzip", data))),
				false
			nesting += 2
		case 5: // another report behind it
			data = append(data, xml(fmt.Sprint("joined", n))...)
			if reports++; !isText {
				reports = -1
			}
		case 6: // another one in the same archive
			other := xml(fmt.Sprint("beside", n))
			data, layers, isText = zipped("a", string(data), "b.xml", string(other)), layers+1,
				false
			reports++
		case 7:
			data, reports = data[:len(data)*int(op)/256], -1
		case 8:
			data, reports = []byte(strings.Repeat(string(data), 1+int(op)%4)), -1
		case 9:
			if len(data) > 0 {
				data[int(op)*len(data)/256] ^= op
			}
			reports = -1
		}
		if layers > maxLayers || nesting > maxNesting || reports < 0 {
			reports = -len(program) // for good: whatever follows adds less
		}
	}
	return data, max(reports, -1)
}

// FuzzNested looks into archives, mails and joined reports that are nested. All reports are found
// where nothing is damaged; parts, and the bytes that are read, stay within the budget.
func FuzzNested(f *testing.F) {
	for _, program := range []string{"", "\x00\x03", "\x01\x04\x00", "\x05\x05\x00", "\x06\x06\x06",
		"\x02\x00\x03",
		"\x05\x47", "\x08\x12\x08\x00\x08", "\x00\x59\x03", "\x00\x00\x00\x00\x00",
		"\x04\x04\x04\x04"} {
		f.Add([]byte(program))
	}
	f.Fuzz(func(t *testing.T, program []byte) {
		data, want := nest(program[:min(len(program), 12)])
		found, got, read := 0, 0, int64(0)
		for p := range eachPart(Look("x", data)) {
			found++
			if p.Err != nil || p.Open == nil {
				continue
			}
			in, err := p.Open()
			if err != nil {
				continue
			}
			n, _ := io.Copy(io.Discard, in)
			read += n
			if p.Kind == Aggregate {
				if r, err := p.ReadAggregate(nil,
					func(*report.Row) error { return nil }); err == nil && r.Messages == 7 {
					got++
				}
			}
		}
		if found == 0 || found > 2*maxParts+2 || read > maxInflated+maxReport {
			t.Errorf("%d parts, %d bytes", found, read)
		}
		if want >= 0 && got != want {
			t.Errorf("%d reports are found, want %d, of %q", got, want, program)
		}
	})
}
