package arc

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding"
	"errors"
	"fmt"
	"hash"
	"slices"
	"time"

	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/message"
)

// Validator validates chains. Its zero values mean the defaults; only Resolver has none. It is safe
// for concurrent use.
type Validator struct {
	Resolver   dns.Resolver
	Now        func() time.Time // default time.Now
	MinRSABits int              // a signature of a shorter key fails; default and least 1024
	Effort     *dkim.Effort     // of one message, shared with DKIM; nil for a separate one
}

// maxOlder is how many message signatures below the newest are verified for OldestPass. The seals
// of all are.
const maxOlder = 9

// Validation is the judging of one message's chain between the end of its header and the end of its
// body.
type Validation struct {
	validator *Validator
	header    message.Header
	links     []link
	effort    *dkim.Effort
	result    Result // has a Value as soon as nothing is left to be done
}

// Select reads the chain of h. If that alone decides the result (there is no chain, or it
// cannot pass), it requests no body hash and Validation makes no lookups.
func (v *Validator) Select(h message.Header) *Validation {
	c := readChain(h)
	x := &Validation{validator: v, header: h, links: c.links, effort: v.Effort}
	if x.effort == nil {
		x.effort = dkim.NewEffort(dkim.AlignedSignatures, dkim.OtherSignatures)
	}
	x.result.Sets, x.result.Sealed = c.sets(), c.sealed()
	switch {
	case !c.found:
		x.result.Value = None
	case x.result.Sealed:
		x.fail("the last sealer, instance %d, found the chain broken (cv=fail)", len(c.links))
	case c.fault != "":
		x.fail("%s", c.fault)
	default:
		x.checkTime()
	}
	return x
}

// checkTime heeds x= of the newest AMS only; the older ones belong to the past.
func (x *Validation) checkTime() {
	now := time.Now
	if x.validator.Now != nil {
		now = x.validator.Now
	}
	const skew = 5 * time.Minute
	if s := x.newest().message; !s.Expires.IsZero() && now().Add(-skew).After(s.Expires) {
		x.fail("the signature of instance %d has expired", x.newest().Instance)
	}
}

func (x *Validation) fail(format string, args ...any) {
	x.result.Value, x.result.Reason = Fail, fmt.Sprintf(format, args...)
}

func (x *Validation) newest() *link { return &x.links[len(x.links)-1] }

// older returns the links below the newest whose message signatures are verified.
func (x *Validation) older() []link {
	below := x.links[:len(x.links)-1]
	return below[max(len(below)-maxOlder, 0):]
}

// BodyHashes names the digests of the body that Run will ask for.
func (x *Validation) BodyHashes() []message.BodyHash {
	if x.result.Value != "" {
		return nil
	}
	wanted := []message.BodyHash{x.newest().message.BodyHashWanted()}
	for _, l := range x.older() {
		wanted = append(wanted, l.message.BodyHashWanted())
	}
	return wanted
}

// Run validates the chain of m, whose body is complete (RFC 8617 section 5.2). The keys of the
// newest set are looked up first; only when that set is good are the others, from the newest down,
// dkim.KeysAtOnce at the same time, until one of them does not verify: a sender must not have us
// look up all keys of a long chain.
func (x *Validation) Run(ctx context.Context, m *message.Message) Result {
	defer x.effort.End(dkim.OlderSets)
	defer x.effort.End(dkim.NewestSet)
	if x.result.Value != "" {
		return x.result
	}
	c := &checker{
		ctx: ctx, resolver: x.validator.Resolver, effort: x.effort,
		keys:  map[string]dkim.Lookup{},
		index: dkim.NewIndex(x.header), body: m.Body, seals: sealDigests(x.links),
		minBits: x.validator.MinRSABits,
	}
	why := c.newest(x.newest())
	x.effort.End(dkim.NewestSet)
	if why == "" && len(x.links) > 1 {
		why = c.olderSeals(x.links[:len(x.links)-1])
	}
	if why != "" {
		x.fail("%s", why)
		x.result.Unfinished = c.isUnfinished
		return x.result
	}
	x.result.Value, x.result.OldestPass = Pass, x.oldestPass(c)
	x.result.Added = x.newest().message.Added(c.index)
	return x.result
}

// oldestPass returns the lowest instance since which the message is known to be unchanged, 0 for
// all of them.
func (x *Validation) oldestPass(c *checker) int {
	older := x.older()
	for i := len(older) - 1; i >= 0; i-- {
		if (len(older)-1-i)%dkim.KeysAtOnce == 0 {
			c.lookUpMessages(older[max(0, i+1-dkim.KeysAtOnce) : i+1])
		}
		if why := c.message(&older[i]); why != "" {
			return older[i].Instance + 1
		}
	}
	if len(older) > 0 && older[0].Instance > 1 {
		return older[0].Instance
	}
	return 0
}

// checker verifies signatures of a chain. Its methods return what is wrong, "" for nothing.
type checker struct {
	ctx      context.Context
	resolver dns.Resolver
	effort   *dkim.Effort
	index    *dkim.Index
	body     *message.Digests
	keys     map[string]dkim.Lookup // those asked for so far
	seals    [][][sha256.Size]byte
	minBits  int

	isUnfinished bool // what is wrong is a limit or a shortage of ours
}

// newest verifies the newest set.
func (c *checker) newest(l *link) string {
	c.lookUp([]string{l.message.KeyName, l.seal.KeyName})
	c.effort.Begin(dkim.NewestSet)
	return c.set(l)
}

// olderSeals verifies the seals of links from the last down.
func (c *checker) olderSeals(links []link) string {
	for end := len(links); end > 0; end -= dkim.KeysAtOnce {
		some := links[max(0, end-dkim.KeysAtOnce):end]
		var names []string
		for i := range some {
			names = append(names, some[len(some)-1-i].seal.KeyName)
		}
		c.lookUp(names)
		c.effort.Begin(dkim.OlderSets)
		for i := len(some) - 1; i >= 0; i-- {
			if why := c.seal(&some[i]); why != "" {
				return why
			}
		}
	}
	return ""
}

// lookUpMessages asks for the keys of the message signatures of links, from the last down.
func (c *checker) lookUpMessages(links []link) {
	var names []string
	for i := range links {
		names = append(names, links[len(links)-1-i].message.KeyName)
	}
	c.lookUp(names)
}

func (c *checker) lookUp(names []string) {
	names = slices.DeleteFunc(names, func(name string) bool {
		_, isKnown := c.keys[name]
		return isKnown
	})
	found := dkim.LookupKeys(c.ctx, c.resolver, names)
	for _, name := range names {
		c.keys[name] = found.At(name)
	}
}

func (c *checker) set(l *link) string {
	if why := c.message(l); why != "" {
		return why
	}
	return c.seal(l)
}

// message verifies the AMS of l.
func (c *checker) message(l *link) string {
	s := &l.message
	records, why := c.records(l, s)
	if why != "" {
		return why
	}
	sum, hashed := c.body.Sum(s.BodyHashWanted())
	var err error
	switch {
	case !hashed:
		return "the body was not hashed as the chain needs it"
	case !bytes.Equal(sum.SHA256[:], s.BodyHash):
		return fmt.Sprintf("the body was changed after instance %d", l.Instance)
	case s.Limit != message.Whole && s.Limit != sum.Length:
		return fmt.Sprintf("the signature of instance %d does not cover all of the body (l=)",
			l.Instance)
	default:
		_, err = s.VerifiedBy(c.index, l.at, records, c.effort)
	}
	if err != nil {
		return c.unverified(err,
			fmt.Sprintf(
				"the header was changed after instance %d, or it was signed with another key",
				l.Instance))
	}
	return ""
}

// unverified returns what an error of dkim.Verify means.
func (c *checker) unverified(err error, why string) string {
	if errors.Is(err, dkim.ErrTooExpensive) {
		c.isUnfinished = true
		return "too expensive: verifying the signatures of this message would take too much processor time"
	}
	return why
}

// seal verifies the AS of l.
func (c *checker) seal(l *link) string {
	records, why := c.records(l, &l.seal)
	if why != "" {
		return why
	}
	for _, digest := range c.seals[l.Instance-1] {
		_, err := dkim.Verify(digest, l.seal.Value, records, c.effort)
		if err == nil {
			return ""
		}
		if !errors.Is(err, dkim.ErrNotVerified) {
			return c.unverified(err, "")
		}
	}
	return fmt.Sprintf(
		"the seal of instance %d does not match the ARC fields below it, or was made with another key",
		l.Instance)
}

func (c *checker) records(l *link, s *dkim.Signature) (records []dkim.Record, why string) {
	found := c.keys[s.KeyName]
	if found.State != dkim.KeyUsable {
		c.isUnfinished = found.IsShort
		return nil, fmt.Sprintf("instance %d: %s", l.Instance, found.Reason)
	}
	if records = found.For(s.Algorithm); len(records) == 0 {
		return nil, fmt.Sprintf("instance %d: the key at %s is not for %s", l.Instance, s.KeyName,
			s.Algorithm)
	}
	if bits := records[0].Key.Bits(); s.Algorithm == dkim.RSASHA256 && bits < c.minBits {
		return nil, fmt.Sprintf("instance %d: the key has %d bits, and this host requires %d",
			l.Instance, bits, c.minBits)
	}
	return records, ""
}

// sealDigests returns for each link the SHA-256 that its seal signs, one for each form of
// the seal. A seal covers all sets up to its own, so the hash state is carried on from one
// to the next instead of started again (RFC 8617 section 5.1.1).
func sealDigests(links []link) [][][sha256.Size]byte {
	digests := make([][][sha256.Size]byte, len(links))
	running := sha256.New()
	for i, l := range links {
		write(running, l.fields[0])
		write(running, l.fields[1])
		for _, own := range l.seal.Unsigned {
			digests[i] = append(digests[i], finish(running, own))
		}
		write(running, l.fields[2])
	}
	return digests
}

// write adds a field in its canonical form, which is always relaxed (RFC 8617 section 4.1.3).
func write(h hash.Hash, f message.Field) { h.Write(message.Relaxed.AppendField(nil, f)) }

// finish returns the sum of h and the seal itself, and leaves h as it was.
func finish(h hash.Hash, own message.Field) [sha256.Size]byte {
	// The documentation promises these two methods of every SHA-256, and no Clone.
	state, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	end := sha256.New()
	if err = errors.Join(err, end.(encoding.BinaryUnmarshaler).UnmarshalBinary(state)); err != nil {
		panic(err) // no hash of the standard library returns one
	}
	end.Write(bytes.TrimSuffix(message.Relaxed.AppendField(nil, own), []byte("\r\n")))
	return [sha256.Size]byte(end.Sum(nil))
}
