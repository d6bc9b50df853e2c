package send

import (
	"bufio"
	"context"
	"errors"
	"io"
	"strings"
	"time"

	"mailseal/milter/report/store"
)

// maxBounce is how much of a bounce is read, in bytes: what says why is before the mail that
// came back.
const maxBounce = 64 << 10

// Bounced takes a mail to the envelope sender of one of our reports. One that says that the report
// was not delivered, be it by a mail server or by a person, suppresses the address; a notice of a
// delay does not, nor does a mail to an address that the store did not give out, which is counted.
// Known is false where the recipient does not look like such a sender at all, Suppression is empty
// where nothing is to be done.
func Bounced(
	ctx context.Context, s *store.Store, recipient string, mail io.Reader, now time.Time,
) (x store.Suppression, known bool, err error) {
	key, err := s.OutKey(ctx)
	if err != nil {
		return x, true, err
	}
	id, n, err := ParseVERP(key, recipient)
	switch {
	case errors.Is(err, errNotVERP):
		return x, false, nil
	case err != nil:
		return x, true, s.OutForged(ctx, now)
	}
	reason, isFinal := diagnose(mail)
	if !isFinal {
		return x, true, nil
	}
	x, err = s.OutBounced(ctx, id, n, reason, now)
	return x, true, err
}

// diagnose returns why a mail came back, in the words of who sent it back, and whether that is for
// good.
func diagnose(mail io.Reader) (reason string, isFinal bool) {
	lines := bufio.NewScanner(io.LimitReader(mail, maxBounce))
	lines.Buffer(make([]byte, 4096), maxBounce)
	action, status, text := "", "", ""
	for lines.Scan() {
		name, value, ok := strings.Cut(lines.Text(), ":")
		if !ok {
			continue
		}
		value = printable(strings.TrimSpace(value))
		switch strings.ToLower(name) {
		case "action":
			action = strings.ToLower(value)
		case "status":
			status = value
		case "diagnostic-code":
			text = value
		}
	}
	reason = "bounced"
	switch {
	case text != "":
		reason += ": " + text
	case status != "":
		reason += ": status " + status
	}
	isNotice := action == "delayed" || action == "delivered" || action == "relayed" ||
		action == "expanded"
	return reason, !isNotice
}

// printable leaves printable ASCII of a stranger's words, at most 200 bytes.
func printable(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, s)
	return s[:min(len(s), 200)]
}
