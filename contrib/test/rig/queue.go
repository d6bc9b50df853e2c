package rig

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Queued is a message that waits in an MTA's queue.
type Queued struct {
	ID   string
	Held bool // in Postfix's hold queue, or quarantined in Sendmail's
	From string
	To   []string
}

// Queue lists the MTA's queue, as postqueue(1) and mailq(1) show it.
func (m *MTA) Queue(t testing.TB) []Queued {
	t.Helper()
	if m.Name == "Postfix" {
		return postfixQueue(m.run(t, nil, "/usr/sbin/postqueue", "-j"))
	}
	return append(sendmailQueue(m.run(t, nil, "/usr/sbin/sendmail", "-bp"), false),
		sendmailQueue(m.run(t, nil, "/usr/sbin/sendmail", "-bp", "-qQ"), true)...)
}

// AwaitHeld waits until a message to the recipient is held, and returns it.
func (m *MTA) AwaitHeld(t testing.TB, recipient string) Queued {
	t.Helper()
	for limit := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		queue := m.Queue(t)
		for _, q := range queue {
			if q.Held && slices.Contains(q.To, recipient) {
				return q
			}
		}
		if time.Now().After(limit) {
			t.Fatalf("no message to %s is held; the queue has %+v", recipient, queue)
		}
	}
}

func postfixQueue(list string) []Queued {
	var queue []Queued
	decoder := json.NewDecoder(strings.NewReader(list))
	for {
		var q struct {
			Queue      string `json:"queue_name"`
			ID         string `json:"queue_id"`
			Sender     string `json:"sender"`
			Recipients []struct {
				Address string `json:"address"`
			} `json:"recipients"`
		}
		if decoder.Decode(&q) != nil {
			return queue
		}
		item := Queued{ID: q.ID, Held: q.Queue == "hold", From: q.Sender}
		for _, r := range q.Recipients {
			item.To = append(item.To, r.Address)
		}
		queue = append(queue, item)
	}
}

// Lines of mailq: an entry begins with its id, its recipients follow, alone in their lines and
// indented.
var (
	mailqEntry     = regexp.MustCompile(`^([0-9A-Za-z]{14,})[*X?-]*\s.*\s<?([^<>\s]*)>?$`)
	mailqRecipient = regexp.MustCompile(`^\s+<?([^<>\s]+@[^<>\s]+)>?$`)
)

func sendmailQueue(list string, held bool) []Queued {
	var queue []Queued
	for line := range strings.Lines(list) {
		line = strings.TrimRight(line, "\n")
		if e := mailqEntry.FindStringSubmatch(line); e != nil {
			queue = append(queue, Queued{ID: e[1], From: e[2], Held: held})
		} else if r := mailqRecipient.FindStringSubmatch(line); r != nil && len(queue) > 0 {
			last := &queue[len(queue)-1]
			last.To = append(last.To, r[1])
		}
	}
	return queue
}

// Message returns the header and the body of a queued message, with LF line ends, as they are in
// the queue.
func (m *MTA) Message(t testing.TB, q Queued) string {
	t.Helper()
	if m.Name == "Postfix" {
		return m.run(t, nil, "/usr/sbin/postcat", "-h", "-b", "-q", q.ID)
	}
	prefix := "qf"
	if q.Held {
		prefix = "hf"
	}
	return sendmailHeader(m.read(t, "/var/spool/mqueue/"+prefix+q.ID)) + "\n" +
		m.read(t, "/var/spool/mqueue/df"+q.ID)
}

// sendmailHeader picks the header fields out of a queue file: lines "H?flags?Name: value" and what
// continues them.
func sendmailHeader(file string) string {
	var b bytes.Buffer
	within := false
	for line := range strings.Lines(file) {
		switch field, ok := strings.CutPrefix(line, "H?"); {
		case ok:
			_, field, _ = strings.Cut(field, "?")
			b.WriteString(field)
			within = true
		case within && (line[0] == ' ' || line[0] == '\t'):
			b.WriteString(line)
		default:
			within = false
		}
	}
	return b.String()
}

// Local hands a message to sendmail(1), as a local user's program does.
func (m *MTA) Local(t testing.TB, message string, args ...string) {
	t.Helper()
	cmd := m.Command("/usr/sbin/sendmail", args...)
	cmd.Stdin = strings.NewReader(message)
	cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uint32(uid(t, User)),
		Gid: uint32(gid(t, User))}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out)
	}
}
