package dkim

import (
	"crypto/ed25519"
	"math/bits"
	"sync"
)

// EffortUnits is what the signatures of one message may cost. The unit is one verification with an
// RSA key of 2048 bits and the exponent 65537, about 30 microseconds; honest mail needs one to
// four. A chain of 50 ARC sets asks for about 60, ten DKIM signatures for ten. Without the bound a
// message of 29 KB could cost a second and more: its writer chooses the keys, and how much of a
// header each signature covers.
const EffortUnits = 96

// Phase is a step of judging a message's signatures. What matters most comes first and is never too
// expensive because of what matters less.
type Phase int

// The phases, in their order.
const (
	// DKIM signatures of the author's domain, its parents and its children
	AlignedSignatures Phase = iota
	NewestSet               // the newest ARC set: its message signature and its seal
	OtherSignatures         // all other DKIM signatures
	OlderSets               // the ARC sets below the newest
	phaseCount
)

// Effort is the remaining budget for the signature arithmetic of one message. DKIM and ARC
// share one Effort. It is safe for concurrent use.
type Effort struct {
	ended [phaseCount]chan struct{}
	once  [phaseCount]sync.Once

	mu   sync.Mutex
	left int  // in thousandths of a unit
	lack bool // something was refused
}

// NewEffort returns EffortUnits for a message. Phases that nothing is going to happen in, such as
// those of ARC where only DKIM is verified, are named: nothing waits for them.
func NewEffort(without ...Phase) *Effort {
	e := &Effort{left: EffortUnits * 1000}
	for p := range e.ended {
		e.ended[p] = make(chan struct{})
	}
	for _, p := range without {
		e.End(p)
	}
	return e
}

// NewEffortOf returns so many units for work on a header that is not the judging of its message.
func NewEffortOf(units int) *Effort {
	e := NewEffort()
	e.left = units * unitCost
	return e
}

// Begin waits until every phase before p has ended. It does not heed deadlines: who began a phase
// ends it in time.
func (e *Effort) Begin(p Phase) {
	for earlier := range p {
		<-e.ended[earlier]
	}
}

// End ends a phase and all before it that the same caller had; it may be called again.
func (e *Effort) End(p Phase) {
	e.once[p].Do(func() { close(e.ended[p]) })
}

// Spend takes the cost of one verification with k and reports whether there was enough left for it.
// A nil Effort has no end.
func (e *Effort) Spend(k PublicKey) bool {
	if e == nil {
		return true
	}
	return e.take(k.cost())
}

// SpendOctets takes the cost of hashing so many octets of a header, as Spend does.
func (e *Effort) SpendOctets(n int) bool {
	if e == nil {
		return true
	}
	return e.take(n * unitCost / unitOctets)
}

// IsSpent reports whether there was not enough left for something.
func (e *Effort) IsSpent() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.lack
}

func (e *Effort) take(cost int) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cost > e.left {
		e.lack = true
		return false
	}
	e.left -= cost
	return true
}

// Costs in thousandths of a unit, and what a unit is.
const (
	unitCost    = 1000
	ed25519Cost = unitCost // measured: it takes as long as RSA-2048, within a third
	unitOctets  = 32 << 10 // SHA-256 takes as long for so many
	nameOctets  = 64       // finding the field that h= names takes as long as hashing so many
)

// cost of a verification. It is the square of the modulus for each step of raising to the exponent,
// of which there are as many as it has bits, and one more for every bit that is set; getting ready
// takes ten. crypto/rsa multiplies moduli of three sizes by hand-written code, all others take two
// and a half times as long.
func (k PublicKey) cost() int {
	if k.rsa == nil {
		return ed25519Cost
	}
	const standard = 2048 * 2048 * (19 + setup) // 65537 has 17 bits, two of them set
	size, e := k.rsa.N.BitLen(), uint(k.rsa.E)
	steps := bits.Len(e) + bits.OnesCount(e) + setup
	cost := size * size * steps * unitCost / standard
	if !isFastSize(size) {
		cost = cost * 5 / 2
	}
	return cost
}

// setup is what comes before the first step, in steps.
const setup = 10

// isFastSize reports whether a modulus has one of the sizes that crypto/rsa has code for, in whole
// words.
func isFastSize(size int) bool {
	const word = 64
	switch (size + word - 1) / word * word {
	case 1024, 1536, 2048:
		return true
	}
	return false
}

// fits reports whether a signature of that length can be one of k's: no arithmetic is spent on
// others.
func (k PublicKey) fits(signature []byte) bool {
	if k.rsa == nil {
		return len(signature) == ed25519.SignatureSize
	}
	return len(signature) == k.rsa.Size()
}
