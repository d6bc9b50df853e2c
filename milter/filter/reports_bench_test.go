package filter

import (
	"net/netip"
	"strings"
	"testing"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/message"
	"mailseal/milter/report"
)

// nothing is a Recorder that keeps nothing: what is measured is what capture costs the message.
type nothing struct{ n int }

func (r *nothing) Record(report.Evaluation) { r.n++ }
func (r *nothing) Wrote(string)             {}
func (r *nothing) Sent(report.Sent)         {}
func (r *nothing) Failed(report.Failing)    {}

// BenchmarkJudging is a message of a stranger with all lookups in memory, without and with what is taken down for reports.
func BenchmarkJudging(b *testing.B) {
	env := message.Envelope{Client: netip.MustParseAddr("198.51.100.7"), Helo: "h.example", Sender: "x@asks.example", Recipients: []string{"a@example.net"}}
	raw := strings.ReplaceAll(askingText, "\n", "\r\n")
	for _, collects := range []bool{false, true} {
		name := map[bool]string{false: "plain", true: "collecting"}[collects]
		b.Run(name, func(b *testing.B) {
			f, _ := reportFilter(b)
			f.Counters = nil
			f.Reports.Recorder = nil
			if collects {
				f.Reports.Recorder = &nothing{}
			}
			b.ReportAllocs()
			for b.Loop() {
				var judge milter.Judge
				m, err := message.Read(strings.NewReader(raw), 1<<20, func(h message.Header) []message.BodyHash {
					judge = f.Begin(b.Context(), milter.Mail{Envelope: &env, Role: action.RoleTheirs, MayChange: true, Header: h})
					return judge.Wants().Hashes
				})
				if err != nil {
					b.Fatal(err)
				}
				judge.Decide(b.Context(), m, nil)
			}
		})
	}
}
