package intake

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"mailseal/contrib/test/rig"
	"mailseal/keys/database"
	"mailseal/milter/report/store"
)

// TestMain lets the test program stand for a process that takes mails and is killed.
func TestMain(m *testing.M) {
	if dsn := os.Getenv("MAILSEAL_TEST_TAKE"); dsn != "" {
		takeForever(store.Options{Driver: database.Driver(os.Getenv("MAILSEAL_TEST_DRIVER")),
			DSN: dsn})
	}
	os.Exit(m.Run())
}

// maxTogether is how many reports takeForever takes in one transaction at most.
const maxTogether = 3

// takeForever takes some reports after the other, and prints the number of the last one once they
// are acknowledged.
func takeForever(o store.Options) {
	s, err := store.Open(context.Background(), o)
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	i := &Intake{Store: s}
	var first int
	fmt.Sscan(os.Getenv("MAILSEAL_TEST_FIRST"), &first)
	for n := first; ; {
		var all []*store.Arrival
		for range 1 + n%maxTogether {
			all = append(all, &store.Arrival{
				Received: now, Via: "import", Name: "x", Trust: store.ByHand, Data: gz(xml(fmt.Sprint(n))),
			})
			n++
		}
		if _, err := i.TakeAll(context.Background(), all); err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
		fmt.Println("taken", n-1)
	}
}

// RI-5: kill -9 at any point loses nothing that was acknowledged, and the mail server's second try
// doubles nothing.
func TestKill(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) {
		testKill(t, store.Options{Driver: database.SQLite, DSN: filepath.Join(t.TempDir(), "r.db")})
	})
	t.Run("postgres", func(t *testing.T) {
		if testing.Short() {
			t.Skip("starts a real server")
		}
		testKill(t, store.Options{Driver: database.Postgres, DSN: rig.Postgres(t).DSN})
	})
}

func testKill(t *testing.T, o store.Options) {
	rounds, acknowledged := 25, 0
	for round := range rounds {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), "MAILSEAL_TEST_TAKE="+o.DSN, "MAILSEAL_TEST_DRIVER="+
			string(o.Driver),
			fmt.Sprint("MAILSEAL_TEST_FIRST=", acknowledged))
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for n := 0; lines.Scan(); n++ {
			if _, err := fmt.Sscanf(lines.Text(), "taken %d", &acknowledged); err != nil {
				t.Fatal(lines.Text())
			}
			acknowledged++ // is the next one: it is tried again by the next process
			if n == round%4 {
				cmd.Process.Kill()
			}
		}
		cmd.Wait()
	}
	s, err := store.Open(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	list, err := s.Reports(t.Context(), store.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	// The last ones may have been committed and not acknowledged.
	if len(list) < acknowledged || len(list) > acknowledged+maxTogether || acknowledged < rounds {
		t.Errorf("%d reports are stored, %d were acknowledged", len(list), acknowledged)
	}
	if got := total(t, s); got != int64(len(list))*7 {
		t.Errorf("%d messages in %d reports of 7", got, len(list))
	}
}
