package reporting

import (
	"context"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/report/store"
)

// TestResend holds that resend queues what was not handed over, all where all was, and nothing
// where a mail is being handed over.
func TestResend(t *testing.T) {
	for _, tc := range []struct{ before, after string }{
		{"handed over,in doubt,failed", "handed over,queued,queued"},
		{"in doubt,handed over", "queued,handed over"},
		{"handed over,handed over", "queued,queued"},
		{"in doubt,handing over", "in doubt,handing over"},
	} {
		h := newHost(t, "127.0.0.1:9")
		s, err := OpenStore(t.Context(), h.Config)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		r := store.OutReport{ID: "x", Day: store.Day(noon) - 1, Domain: "a.example",
			State: store.Built, Built: noon}
		for n, state := range strings.Split(tc.before, ",") {
			r.Deliveries = append(r.Deliveries,
				store.OutDelivery{Report: "x", N: n + 1, Address: "d@a.example",
					Host: "a.example", State: state, Due: noon, Message: []byte("mail")})
		}
		if _, err := s.OutBuilt(t.Context(), store.OutPending{}, []store.OutReport{r}); err != nil {
			t.Fatal(err)
		}
		err = h.Resend(t.Context(), "x")
		if isKept := tc.before == tc.after; isKept != (answer.Of(err) == answer.Bad) ||
			!isKept && err != nil {
			t.Errorf("%s: %v", tc.before, err)
		}
		list, err := s.OutReports(t.Context(), "", "x", 1)
		if err != nil {
			t.Fatal(err)
		}
		states := make([]string, len(r.Deliveries))
		for _, d := range list[0].Deliveries {
			states[d.N-1] = d.State
		}
		if got := strings.Join(states, ","); got != tc.after {
			t.Errorf("%s: then %s, want %s", tc.before, got, tc.after)
		}
	}
}

// TestSendWaitsForSpool holds that a day is not reported while rows of it are in the spool.
func TestSendWaitsForSpool(t *testing.T) {
	s := newSink(t)
	h := newHost(t, s.address)
	h.judged(t, "friend.example", 3)
	h.spooled(t, "friend.example", 2)
	h.Now = noon.AddDate(0, 0, 1)
	for _, dry := range []bool{true, false} {
		text := h.run(t, func(ctx context.Context) error { return h.Send(ctx, dry) })
		if strings.Contains(text, "friend.example") || len(s.all()) > 0 {
			t.Errorf("dry run %v: %d mails\n%s", dry, len(s.all()), text)
		}
	}
	h.Now = noon
	h.judged(t, "friend.example", 0)
	h.Now = noon.AddDate(0, 0, 1)
	text := h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	if len(s.all()) != 1 || !strings.Contains(text, " 5 ") {
		t.Errorf("%d mails\n%s", len(s.all()), text)
	}
}

// TestSendGoesOn holds that mails which are due are handed over although no report can be built.
func TestSendGoesOn(t *testing.T) {
	s := newSink(t)
	h := newHost(t, s.address)
	h.judged(t, "friend.example", 3)
	h.Now = noon.AddDate(0, 0, 1)
	s.setAway(true)
	h.run(t, func(ctx context.Context) error { return h.Send(ctx, false) })
	s.setAway(false)
	h.Now = h.Now.AddDate(0, 0, 1)
	h.Config.Reports.SpoolDirectory = "/dev/null"
	if err := h.Send(t.Context(), false); err == nil || len(s.all()) != 1 {
		t.Errorf("%d mails, %v", len(s.all()), err)
	}
}
