package lmtp

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"mailseal/keys/database"
	"mailseal/milter/report/intake"
	"mailseal/milter/report/store"
)

// IN-4, RI-5: a disk that is full, whatever was being written when it became so. The mail server
// keeps the mail, nothing of it is stored, and with space again it is taken.
func TestFullDisk(t *testing.T) {
	dir := t.TempDir()
	if err := syscall.Mount("none", dir, "tmpfs", 0, "size=2m"); err != nil {
		t.Skipf("a file system of its own: %v", err)
	}
	t.Cleanup(func() { _ = syscall.Unmount(dir, 0) })
	st, err := store.Open(t.Context(),
		store.Options{Driver: database.SQLite, DSN: filepath.Join(dir, "r.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	s := &Server{
		Intake: &intake.Intake{Store: st}, Trust: &Trust{IDs: []string{"mx.example.com"}}, Name: "x.example",
		Log: slog.New(slog.DiscardHandler), Now: time.Now,
	}
	c := serve(t, s)
	ours := "Authentication-Results: mx.example.com; dmarc=pass header.from=org.example\r\n"
	taken, refused, id := 0, 0, 0
	attempt := func() error {
		err := send(t, c, mail(ours, fmt.Sprint(id)))
		switch {
		case err == nil:
			taken, id = taken+1, id+1
		case strings.Contains(err.Error(), "cannot be stored now"):
			refused++
		default:
			t.Fatalf("got %v, want 250 or 451", err)
		}
		return err
	}
	fill := filepath.Join(dir, "fill")
	for round := range 12 { // each leaves other pages for what is written
		full := bytes.NewReader(make([]byte, 4<<20))
		f, err := os.Create(fill)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := full.WriteTo(f); err == nil {
			t.Fatal("the file system is not full")
		}
		f.Close()
		info, err := os.Stat(fill)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(fill, max(info.Size()-int64(round)*4096, 0)); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			if attempt() != nil {
				break
			}
		}
		if err := os.Remove(fill); err != nil {
			t.Fatal(err)
		}
		if err := attempt(); err != nil {
			t.Fatalf("with space again: %v", err)
		}
	}
	lines, err := st.Domains(t.Context(), store.Filter{})
	if err != nil || len(lines) != 1 || lines[0].Messages != int64(taken)*7 {
		t.Errorf("%+v, %v; want %d messages", lines, err, taken*7)
	}
	if wrong, err := st.Verify(t.Context()); err != nil || len(wrong) > 0 || refused == 0 {
		t.Errorf("verify: %v, %v; refused %d times", wrong, err, refused)
	}
}
