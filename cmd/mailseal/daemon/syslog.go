package daemon

import (
	"fmt"
	"io"
	"log/syslog"
	"sync"
	"time"
)

// redial is how long a syslog that could not be reached is left alone.
const redial = 10 * time.Second

// syslogWriter writes to the syslog of this host, and to standard error while that cannot be
// reached, as in a container or early at boot: logging never stops mail.
type syslogWriter struct {
	priority syslog.Priority
	lost     *loss

	mu   sync.Mutex
	conn *syslog.Writer // nil while not connected
	next time.Time      // not before it is dialled again
}

// newSyslogWriter connects, and says on standard error when it cannot.
func newSyslogWriter(p syslog.Priority, lost *loss) *syslogWriter {
	w := &syslogWriter{priority: p, lost: lost}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dial()
	return w
}

// Write implements io.Writer. Its error is that of standard error.
func (w *syslogWriter) Write(line []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn == nil && time.Now().After(w.next) {
		w.dial()
	}
	if w.conn != nil {
		n, err := w.conn.Write(line)
		if err == nil {
			return n, nil
		}
		w.conn.Close()
		w.conn, w.next = nil, time.Now().Add(redial)
		w.lost.say(err)
	}
	return w.lost.write(line)
}

func (w *syslogWriter) dial() {
	conn, err := syslog.New(w.priority, "mailseal")
	if err != nil {
		w.next = time.Now().Add(redial)
		w.lost.say(err)
		return
	}
	w.conn = conn
	w.lost.found()
}

// loss logs that the syslog cannot be reached: once, for all severities.
type loss struct {
	mu     sync.Mutex
	stderr io.Writer
	said   bool
}

func (l *loss) say(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.said {
		fmt.Fprintf(l.stderr, "log.syslog: %v; the log goes to standard error until syslog can be reached\n", err)
	}
	l.said = true
}

func (l *loss) found() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.said = false
}

func (l *loss) write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.stderr.Write(line)
}
