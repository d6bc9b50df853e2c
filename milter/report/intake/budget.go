package intake

import (
	"fmt"
	"io"
	"time"

	"mailseal/milter/report"
)

// Bounds of one message or file, whatever it is made of. A report of a large domain at a large
// receiver has 1 MB of XML, the largest that was seen 26 MB. Compression alone proves nothing:
// honest reports reach 100:1.
const (
	MaxMessage  = 25 << 20  // bytes of a mail, or of another file
	maxReport   = 64 << 20  // bytes of one report, inflated
	maxInflated = 128 << 20 // bytes of all that a message holds
	maxCopied   = 75 << 20  // bytes of parts of a mail, as often as they are copied
	maxSkipped  = 512 << 20 // bytes inflated once more, to come to a report behind others
	// MIME parts, entries of archives and joined reports, all layers together
	maxParts   = 100
	maxLayers  = 3  // archives nested
	maxNesting = 20 // MIME parts and messages nested
)

// budget holds the remaining bounds for one message.
type budget struct {
	inflated int64
	copied   int64 // a mail within a mail is a copy of nearly all of it
	parts    int
	skipped  int64 // inflated again, to come to what is behind it

	clock func() time.Time
	end   time.Time // when the reading takes too long
}

// maxReading bounds the time that the reading of one message takes, without what the store needs of
// it. The largest that the other bounds let through need some seconds.
const maxReading = time.Minute

func newBudget(clock func() time.Time) *budget {
	return &budget{inflated: maxInflated, copied: maxCopied, parts: maxParts, skipped: maxSkipped,
		clock: clock, end: clock().Add(maxReading)}
}

// isLate reports whether the reading of the message takes too long.
func (b *budget) isLate() bool { return b.clock().After(b.end) }

// untimed calls do, whose time does not count.
func (b *budget) untimed(do func() error) error {
	begin := b.clock()
	defer func() { b.end = b.end.Add(b.clock().Sub(begin)) }()
	return do()
}

func errLate() error {
	return hostile("it takes too long to read: more than %.0f s", maxReading.Seconds())
}

// part counts one more part.
func (b *budget) part() error {
	if b.isLate() {
		return errLate()
	}
	if b.parts--; b.parts < 0 {
		return hostile("more than %d parts", maxParts)
	}
	return nil
}

// charge counts n bytes that were decoded in memory.
func (b *budget) charge(n int) error {
	if b.inflated -= int64(n); b.inflated < 0 {
		return hostile("all parts together are larger than %d MiB", maxInflated>>20)
	}
	return nil
}

func hostile(format string, args ...any) error {
	return fmt.Errorf("%w: %s", report.ErrHostile, fmt.Sprintf(format, args...))
}

// limited reads a report that is inflated on the way, within the bound of one report and of the
// message.
type limited struct {
	in     io.Reader
	budget *budget // nil: this report was counted before
	copied *int64  // what is left of budget.copied; nil for what is not a copy
	left   int64
}

func (l *limited) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	l.left -= int64(n)
	if l.budget != nil {
		l.budget.inflated -= int64(n)
	}
	if l.copied != nil {
		if *l.copied -= int64(n); *l.copied < 0 {
			return 0, hostile("the parts of the mail are larger than %d MiB", maxCopied>>20)
		}
	}
	if l.left < 0 || l.budget != nil && l.budget.inflated < 0 {
		return 0, hostile("unpacked, it is larger than %d MiB, or all parts together are larger "+
			"than %d MiB",
			maxReport>>20, maxInflated>>20)
	}
	if l.budget != nil && l.budget.isLate() {
		return 0, errLate()
	}
	return n, err
}
