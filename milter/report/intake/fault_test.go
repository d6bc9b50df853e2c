package intake

import (
	"errors"
	"io"
	"strings"
	"testing"

	"mailseal/milter/report/store"
)

// broken is a reader with a fault in it.
type broken struct{}

func (broken) Read([]byte) (int, error) { panic("out of range") }

// TestFaults has parts that make the program panic named, and taken; the store and the other mails
// go on as ever.
func TestFaults(t *testing.T) {
	open := func() (io.Reader, error) { return broken{}, nil }
	for _, kind := range []Kind{Aggregate, TLS} {
		p := &Part{Kind: kind, Path: []string{"x"}, Open: open}
		var err error
		if kind == TLS {
			_, err = p.ReadTLS()
		} else {
			_, err = p.ReadAggregate(nil, nil)
		}
		if !errors.Is(err, ErrFault) ||
			!strings.Contains(err.Error(), "(out of range in fault_test.go:") {
			t.Errorf("%s: got %v", kind, err)
		}
	}
	stores(t, func(t *testing.T, s *store.Store) {
		i := &Intake{Store: s}
		out := &Taken{}
		_, err := s.Ingest(t.Context(), &store.Arrival{Received: now, Name: "x", Data: []byte("x")},
			func(in *store.Ingest) error {
				p := &Part{Kind: Aggregate, Path: []string{"x"}, Open: open}
				if err := i.part(&store.Arrival{}, in, p, out); err != nil {
					return err
				}
				return in.Finish("aggregate", strings.Join(out.Problems, "; "))
			})
		if err != nil || len(out.Problems) != 1 ||
			!strings.Contains(out.Problems[0], "a fault of Mailseal") {
			t.Errorf("got %+v, %v", out, err)
		}
		if got := take(t, i, store.ByHand, "", xml("1")); got.Reports != 1 || total(t, s) != 7 {
			t.Errorf("the next mail: %+v", got)
		}
	})
}
