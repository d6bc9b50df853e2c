package send

import (
	"errors"
	"testing"

	"mailseal/milter/report/store"
)

// TestSuppressAsSent holds that an address is suppressed as reports are sent to it, however it was
// written, and is released by either form.
func TestSuppressAsSent(t *testing.T) {
	s, ctx := newSite(t, friendZone), t.Context()
	for written, want := range map[string]string{
		"user@example.com!10m": "user@example.com", "user%2Bx@example.com": "user+x@example.com",
		"user@example.com?subject=x": "user@example.com", " user@example.com ": "user@example.com",
		"user@bücher.example": "user@xn--bcher-kva.example", "user@EXAMPLE.com.": "user@example.com",
	} {
		err := Suppress(ctx, s.Store, store.Suppression{Address: written,
			Until: day0.AddDate(0, 1, 0)}, day0)
		list, also := s.Store.OutSuppressions(ctx, "", day0)
		if err != nil || also != nil || len(list) != 1 || list[0].Address != want {
			t.Errorf("%q: %v, %v, %+v", written, err, also, list)
		}
		if err := Release(ctx, s.Store, written); err != nil {
			t.Errorf("%q is not released: %v", written, err)
		}
		again := store.Suppression{Address: written, Until: day0.AddDate(0, 1, 0)}
		if err := errors.Join(Suppress(ctx, s.Store, again, day0),
			Release(ctx, s.Store, want)); err != nil {
			t.Errorf("%q is not released as %q: %v", written, want, err)
		}
	}
	// An entry of an earlier version can be released as it stands in the list.
	old := store.Suppression{Address: "user@example.com!10m", Until: day0.AddDate(0, 1, 0)}
	if err := s.Store.OutSuppress(ctx, old); err != nil {
		t.Fatal(err)
	}
	if err := Release(ctx, s.Store, old.Address); err != nil {
		t.Error(err)
	}
	if err := Release(ctx, s.Store, old.Address); !errors.Is(err, ErrRefused) {
		t.Errorf("an address that is not suppressed: got %v, want ErrRefused", err)
	}
}
