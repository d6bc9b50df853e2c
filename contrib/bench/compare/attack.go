package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"mailseal/contrib/bench/measure"
	"mailseal/milter/miltertest"
)

// siege is honest mail measured while so many sessions of strangers send what costs most lookups.
type siege struct {
	sessions int
	networks int // from which they come
	latency  []time.Duration
	spoofs   int64 // that were answered
	refused  int64 // of them, for good
	deferred int64
	resent   float64 // queries to the name server, which were lost before, or have no answer
}

// Honest mail comes steadily, from several sessions, as it does when nothing is wrong. What is
// measured is how long each message takes, not how many are possible.
const (
	honestSessions = 4
	honestEvery    = 40 * time.Millisecond // for each session: 100 messages a second
	siegeWarmUp    = 2 * time.Second
)

// allSieges are those of a whole run, beside honest mail alone. A quick run has the last one.
var allSieges = []siege{
	{sessions: 25, networks: 1},
	{sessions: 25, networks: 25},
	{sessions: 250, networks: 1},
	{sessions: 250, networks: 250},
}

// attack measures honest mail without and with hostile sessions beside it.
func (b *bench) attack(r *report) error {
	takes, sieges := 5*time.Second, allSieges
	if r.options.quick {
		takes, sieges = 3*time.Second, sieges[len(sieges)-1:]
	}
	sieges = append([]siege{{}}, sieges...)
	f, zone, err := newForger(b.RSA)
	if err != nil {
		return err
	}
	if err := b.PublishAlso(zone); err != nil {
		return err
	}
	honest, err := f.honest(measure.Letter(4 * kB))
	if err != nil {
		return err
	}
	for _, s := range sieges {
		if err := b.besiege(&s, f, honest, r.options.plain, takes); err != nil {
			return fmt.Errorf("%d hostile sessions: %w", s.sessions, err)
		}
		b.log("%s", s)
		r.sieges = append(r.sieges, s)
	}
	return nil
}

// besiege starts a daemon of its own for a siege, so that none inherits what another left behind.
func (b *bench) besiege(s *siege, f *forger, honest []byte, binary string,
	takes time.Duration) error {
	forgeries, err := s.forgeries(f)
	if err != nil {
		return err
	}
	p, _, err := b.Mailseal("besieged", binary, "[policy.dmarc]\np_reject = \"reject\"\n")
	if err != nil {
		return err
	}
	defer p.Stop()
	// Canceled, not with a deadline: a connection would fail by the deadline a moment before ctx
	// says so.
	ctx, cancel := context.WithCancel(context.Background())
	defer time.AfterFunc(siegeWarmUp+takes, cancel).Stop()
	defer cancel()
	var all sync.WaitGroup
	failures := make(chan error, s.sessions+honestSessions)
	for i := range s.sessions {
		all.Go(func() { failures <- s.assault(ctx, p.Socket, i, f, forgeries[i]) })
	}
	latencies := make([][]time.Duration, honestSessions)
	for i := range honestSessions {
		all.Go(func() {
			var err error
			latencies[i], err = sendSteadily(ctx, p.Socket, honest)
			failures <- err
		})
	}
	all.Wait()
	close(failures)
	for e := range failures {
		err = errors.Join(err, e)
	}
	if err != nil {
		return err
	}
	s.latency = slices.Concat(latencies...)
	if s.resent, err = p.Metric("mailseal_dns_resent_total"); err != nil {
		return err
	}
	slices.Sort(s.latency)
	if len(s.latency) == 0 {
		return errors.New("no honest message was answered")
	}
	return nil
}

// forgeries makes the first message of each hostile session beforehand: a signature for each, all
// in the same moment, would take the processor from the name server, which lives in this process.
func (s *siege) forgeries(f *forger) (first [][]byte, err error) {
	first = make([][]byte, s.sessions)
	for i := range first {
		if first[i], err = f.spoof(hostileID(i, 0)); err != nil {
			return nil, err
		}
	}
	return first, nil
}

// hostileID is part of all names in a message, so that no two messages have one in common.
func hostileID(session, message int) string { return fmt.Sprintf("m%d-%d", session, message) }

// assault is one hostile session: one message after the other, the last when ctx ends. A forgery
// that is accepted is an error, since then the figures are those of something that does not work.
func (s *siege) assault(ctx context.Context, socket string, i int, f *forger, raw []byte) error {
	client := netip.AddrFrom4([4]byte{198, 51, 100, byte(i)})
	if s.networks > 1 {
		client = netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 1})
	}
	for n := 0; ctx.Err() == nil; n++ {
		id := hostileID(i, n)
		if n > 0 {
			var err error
			if raw, err = f.spoof(id); err != nil {
				return err
			}
		}
		o := miltertest.Options{Client: client, Helo: "h." + id + ".silent.test"}
		m := miltertest.Message{From: "a@" + id + ".silent.test", To: []string{"rcpt@example.net"},
			Raw: raw}
		out, err := deliver(context.Background(), socket, o, m) // the last one is waited for
		switch {
		case err != nil:
			return err
		case !out.Refused():
			return fmt.Errorf("a forgery was accepted:\n%s", firstField(out.Delivered()))
		}
		atomic.AddInt64(&s.spoofs, 1)
		if strings.HasPrefix(out.Reply.String(), "5") {
			atomic.AddInt64(&s.refused, 1)
		} else {
			atomic.AddInt64(&s.deferred, 1)
		}
	}
	return nil
}

// sendSteadily sends an honest message again and again, and returns how long each took once the
// attack has had time to build up. Each has to pass.
func sendSteadily(ctx context.Context, socket string, raw []byte) (took []time.Duration,
	err error) {
	began := time.Now()
	due := time.NewTicker(honestEvery)
	defer due.Stop()
	o := miltertest.Options{Client: netip.MustParseAddr(measure.Client),
		ClientName: "mx.example.com", Helo: "mx.example.com"}
	m := miltertest.Message{From: "user@" + honestDomain, To: []string{"rcpt@example.net"},
		Raw: raw}
	for {
		select {
		case <-ctx.Done():
			return took, nil
		case <-due.C:
		}
		out, err := deliver(ctx, socket, o, m)
		if ctx.Err() != nil {
			return took, nil
		}
		if err != nil {
			return nil, err
		}
		field := firstField(out.Delivered())
		for _, want := range []string{"dkim=pass", "spf=pass", "dmarc=pass"} {
			if !bytes.Contains(field, []byte(want)) {
				return nil, fmt.Errorf("honest mail without %s: %s\n%s", want, out.Reply, field)
			}
		}
		if time.Since(began) > siegeWarmUp {
			took = append(took, out.Took)
		}
	}
}

// deliver sends one message in a session of its own.
func deliver(ctx context.Context, socket string, o miltertest.Options,
	m miltertest.Message) (miltertest.Outcome, error) {
	c, err := miltertest.Dial(ctx, "unix:"+socket, o)
	if err != nil {
		return miltertest.Outcome{}, err
	}
	defer context.AfterFunc(ctx, func() { _ = c.Close() })()
	out, err := c.Send(m)
	if err != nil {
		return out, err
	}
	return out, c.Quit()
}

// firstField returns the field that the daemon wrote in front of the header.
func firstField(delivered []byte) []byte {
	_, rest, _ := bytes.Cut(delivered, []byte("Authentication-Results:"))
	field, _, _ := bytes.Cut(rest, []byte("\r\n\r\n"))
	return field[:min(len(field), 1000)]
}

// quantile returns the latency that a share of the messages stayed below.
func (s siege) quantile(share float64) float64 {
	return miltertest.Milliseconds(
		s.latency[min(len(s.latency)-1, int(share*float64(len(s.latency))))])
}

func (s siege) who() string {
	switch {
	case s.sessions == 0:
		return "none"
	case s.networks == 1:
		return fmt.Sprintf("%d, of one network", s.sessions)
	}
	return fmt.Sprintf("%d, each of its own network", s.sessions)
}

func (s siege) String() string {
	return fmt.Sprintf("honest mail, hostile sessions %s: %d messages, p50 %.2f ms, p99 %.2f ms; %d forgeries answered",
		s.who(), len(s.latency), s.quantile(0.5), s.quantile(0.99), s.spoofs)
}

// siegeTable writes honest mail's latency under attack.
func (r *report) siegeTable(b *bytes.Buffer) {
	if len(r.sieges) == 0 {
		return
	}
	fmt.Fprintf(b, `
## Honest mail under attack

How long an honest message takes, from MAIL to the reply, while strangers send forgeries of a domain with p=reject that
have as much looked up as they can: %d ARC sets of which the newest verifies, and %d DKIM signatures, all keys but one
below name servers that never answer. No answer is remembered, so that honest mail has lookups of its own to wait for.
The plain build judges with all methods; honest mail comes at 100 messages a second and has to pass every method, and
no forgery may be accepted, or there is no table. Attackers, victims, name server and daemon share the cores. Below 300
honest messages, or 500 in a whole run, cores or name server did not keep up: the sessions send one after the other.
A query that no answer has come to is sent again: those for names below silent servers, and those that were lost, since
the buffer of the name server's socket holds some 250 queries, which is less than 250 sessions ask at once.

| hostile sessions | honest messages | p50 | p95 | p99 | forgeries answered | of them rejected | deferred | queries sent again |
|---|---|---|---|---|---|---|---|---|
`, hostileSets, hostileSignatures)
	for _, s := range r.sieges {
		fmt.Fprintf(b, "| %s | %d | %.2f ms | %.2f ms | %.2f ms | %d | %d | %d | %.0f |\n", s.who(),
			len(s.latency),
			s.quantile(0.5), s.quantile(0.95), s.quantile(0.99), s.spoofs, s.refused, s.deferred,
			s.resent)
	}
}
