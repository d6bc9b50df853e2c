package shadow_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"mailseal/milter"
	"mailseal/milter/action"
	"mailseal/milter/guard"
	"mailseal/milter/message"
	"mailseal/milter/miltertest"
	"mailseal/milter/shadow"
)

func inserted(name, value string) guard.Packet {
	return guard.Packet{Code: guard.InsertHeader, Data: numbered(0, name, value)}
}

var (
	oldSignature = inserted("DKIM-Signature", " v=1; a=rsa-sha256; d=Example.com;\n\ts=new; b=y")
	accept       = packet(guard.Accept, "")
)

// adds is an Outcome that inserts fields.
func adds(fields ...string) milter.Outcome {
	o := milter.Outcome{Action: action.Accept}
	for i := 0; i < len(fields); i += 2 {
		o.Edits.Insert = append(o.Edits.Insert, message.NewField(fields[i], []byte(fields[i+1])))
	}
	return o
}

const results = "Authentication-Results"

// TestDifferences holds what is said about a message on which the two filters agree or do not.
func TestDifferences(t *testing.T) {
	removed := guard.Packet{Code: guard.ChangeHeader, Data: numbered(1, results, "")}
	for _, tc := range []struct {
		name   string
		says   func(guard.Packet, int) []guard.Packet
		filter ours
		want   string // the line's words
	}{
		{"both accept", nil, nil, "same verdict=accept signed=-"},
		{"both sign alike", atEnd(removed, oldSignature, accept), outcome(signing("example.com", "new")),
			"same verdict=accept signed=example.com/new/rsa-sha256"},
		{"another selector", atEnd(removed, oldSignature, accept), outcome(signing("example.com", "other")),
			"differs in=signed signed_theirs=example.com/new/rsa-sha256 signed_ours=example.com/other/rsa-sha256"},
		{"another selector and canonicalization",
			atEnd(removed, inserted("DKIM-Signature",
				" v=1; a=rsa-sha256; d=example.com; s=new; h=from; b=y"), accept),
			outcome(adds("DKIM-Signature",
				" v=1; a=rsa-sha256; d=example.com; s=other; c=relaxed; h=from:to:date; b=z")),
			"differs in=signed,canonicalization,fields signed_theirs=example.com/new/rsa-sha256 " +
				"canonicalization_theirs=simple/simple" +
				" canonicalization_ours=relaxed/simple only_theirs=- only_ours=date, to"},
		{"another kind of key", atEnd(oldSignature, accept),
			outcome(adds("DKIM-Signature",
				" v=1; a=ed25519-sha256; d=example.com; s=new; c=relaxed; b=z")),
			"differs not_compared=example.com/new/ed25519-sha256, example.com/new/rsa-sha256 in=signed"},
		{"two signatures that differ", atEnd(removed, oldSignature, inserted("DKIM-Signature",
			" v=1; a=ed25519-sha256; d=example.com; s=e; b=y"), accept),
			outcome(adds("DKIM-Signature", " v=1; a=ed25519-sha256; d=example.com; s=e; "+
				"c=relaxed; b=z", "DKIM-Signature",
				" v=1; a=rsa-sha256; d=example.com; s=new; c=simple/relaxed; b=z")),
			"differs in=canonicalization,removed canonicalization_theirs=simple/simple; " +
				"simple/simple canonicalization_ours=simple/relaxed; relaxed/simple"},
		{"other tags", atEnd(inserted("DKIM-Signature",
			" v=1; a=rsa-sha256; d=example.com; s=new; c=relaxed; i=a@example.com; l=5; t=100; "+
				"x=160; h=From : Date:\n\tFrom; b=y"), removed, accept),
			outcome(adds("DKIM-Signature", " v=1; a=rsa-sha256; d=example.com; s=new; "+
				"c=relaxed/relaxed; t=200; x=300; h=from:to; b=z")),
			"differs in=identity,canonicalization,length,expiry,fields,removed " +
				"identity_theirs=a@example.com identity_ours=@example.com" +
				" canonicalization_theirs=relaxed/simple canonicalization_ours=relaxed/relaxed " +
				"only_theirs=date, from only_ours=to" +
				" length_theirs=5 length_ours=- expiry_theirs=60s expiry_ours=100s"},
		{"the same tags in other words",
			atEnd(inserted("DKIM-Signature", " v=1; a=rsa-sha256; d=example.com; s=new; "+
				"c=simple; i=@Example.com; h=From:Date; b=y"), accept),
			outcome(adds("DKIM-Signature",
				" v=1; a=RSA-SHA256; d=example.com; s=new; h=date:from; b=z")), "same"},
		{"the first of two removed twice", atEnd(removed, removed, accept),
			outcome(milter.Outcome{Action: action.Accept,
				Edits: message.Edits{Remove: []int{1, 3}}}), "same"},
		{"unsigned by us", atEnd(oldSignature, accept), nil,
			"differs in=signed signed_theirs=example.com/new/rsa-sha256 signed_ours=-"},
		{"unsigned by them", atEnd(removed, accept), outcome(signing("example.com", "new")),
			"differs in=signed signed_theirs=- signed_ours=example.com/new/rsa-sha256"},
		{"removed by us", atEnd(oldSignature, accept), outcome(signing("example.com", "new")),
			"differs in=removed removed_theirs=- removed_ours=authentication-results[1]"},
		{"another verdict", atEnd(packet(guard.ReplyCode, "550 5.7.1 no\x00")), nil,
			"differs in=verdict verdict_theirs=reject 550 verdict_ours=accept"},
		{"another code", atEnd(packet(guard.ReplyCode, "554 5.7.1 no\x00")),
			outcome(milter.Outcome{Action: action.Reject}),
			"differs in=verdict verdict_theirs=reject 554 verdict_ours=reject 550"},
		{"rejected without a code", atEnd(packet(guard.Reject, "")),
			outcome(milter.Outcome{Action: action.Reject}), "same verdict=reject"},
		{"held", atEnd(packet(guard.QuarantineMail, "why\x00"), accept), nil,
			"differs in=verdict verdict_theirs=hold verdict_ours=accept"},
		{"same results", atEnd(inserted(results,
			" mx; dkim=pass (2048-bit key)\n\theader.d=example.org header.i=@example.org "+
				"header.b=x; spf=pass smtp.mailfrom=a@b"), accept),
			outcome(adds(results, " mx; spf=none smtp.helo=x; spf=pass smtp.mailfrom=b; "+
				"dkim=pass header.d=Example.ORG; dmarc=pass header.from=x")),
			"same results=dkim=pass example.org, spf=pass"},
		{"other results", atEnd(inserted(results,
			" mx; dkim=pass header.d=example.org; spf=softfail; dmarc=fail"), accept),
			outcome(adds(results, " mx; dkim=fail header.d=example.org; spf=pass")),
			"differs in=dkim,spf,dmarc dkim_theirs=pass example.org dkim_ours=fail example.org " +
				"spf_ours=pass dmarc_ours=-"},
		{"HELO does not stand for the sender", atEnd(inserted(results, " mx; spf=softfail smtp.mailfrom=b"), accept),
			outcome(adds(results, " mx; spf=none smtp.mailfrom=b; spf=pass smtp.helo=x")),
			"differs in=spf spf_theirs=softfail spf_ours=-"},
		{"methods that they never report", nil,
			outcome(adds(results, " mx; dkim=fail header.d=x; spf=pass; dmarc=pass")), "same"},
		{"a new body", atEnd(packet(guard.ReplaceBody, "new"), accept), nil, "differs in=changed changed_theirs=body"},
		{"a recipient refused", at(guard.Rcpt, packet(guard.Reject, "")), nil,
			"differs in=recipients recipients_theirs=1 refused recipients_ours=0 refused"},
		{"accepted before the body, and we would sign", at(guard.EndOfHeader, accept),
			outcome(signing("example.com", "new")),
			"differs body_unseen=true in=signed signed_theirs=- signed_ours=example.com/new/rsa-sha256"},
		{"accepted before the body", at(guard.EndOfHeader, accept),
			outcome(milter.Outcome{Action: action.Reject}), "same body_unseen=true"},
		{"accepted before the header", at(guard.Mail, accept), nil,
			"not judged why=the upstream decided before the message was shown verdict=accept"},
		{"refused before the header", at(guard.Mail, packet(guard.Reject, "")), nil, "not judged verdict=reject"},
		{"we panic", nil, func(context.Context, milter.Mail) milter.Outcome { panic("on purpose") },
			"differs in=verdict verdict_theirs=accept verdict_ours=tempfail 451"},
	} {
		for _, as := range []miltertest.MTA{miltertest.Postfix, miltertest.Sendmail} {
			t.Run(tc.name+"/"+as.String(), func(t *testing.T) {
				t.Parallel()
				old := &standIn{asks: modern, says: tc.says}
				old.listen(t)
				r := start(t, old, tc.filter)
				c := dial(t, r.path, as, miltertest.Options{})
				m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net",
					"y@example.net"}, Raw: []byte(simple), Queue: "4XQ"}
				if _, err := c.Send(m); err != nil {
					t.Fatal(err)
				}
				c.Quit()
				lines := r.lines()
				if len(lines) != 1 {
					t.Fatalf("%d lines, want 1:\n%s", len(lines), r.log.String())
				}
				check(t, lines[0], tc.want)
			})
		}
	}
}

func outcome(o milter.Outcome) ours {
	return func(context.Context, milter.Mail) milter.Outcome { return o }
}

// check compares a line with its message and its words, each key=value.
func check(t *testing.T, line map[string]any, want string) {
	t.Helper()
	var got strings.Builder
	for _, key := range []string{"msg", "body_unseen", "not_compared", "in", "why", "verdict",
		"signed", "results"} {
		if v, has := line[key]; has && key == "msg" {
			fmt.Fprintf(&got, "%v", v)
		} else if has {
			fmt.Fprintf(&got, " %s=%v", key, v)
		}
	}
	for _, kind := range shadow.Kinds() {
		for _, who := range []string{"theirs", "ours"} {
			key := kind + "_" + who
			if kind == "fields" {
				key = "only_" + who
			}
			if v, has := line[key]; has {
				fmt.Fprintf(&got, " %s=%v", key, v)
			}
		}
	}
	at := 0
	for _, word := range splitWords(want) {
		i := strings.Index(got.String()[at:], word)
		if i < 0 {
			t.Fatalf("the line says\n%s\nwithout %q, want\n%s", got.String(), word, want)
		}
		at += i + len(word)
	}
	if strings.HasPrefix(want, "differs") && line["author"] != "example.com" ||
		line["sender"] != "a@example.com" {
		t.Errorf("author %v, sender %v", line["author"], line["sender"])
	}
}

// TestIgnoreSigned holds what is said where another selector, or another kind of key, is to be
// ignored: the rest of the signature is compared all the same, and a message is not called the same
// of which a signature was not compared. The report of a log that was written without ignoring
// anything says the same.
func TestIgnoreSigned(t *testing.T) {
	for _, tc := range []struct {
		name, ours, want string
		same, notYet     int
	}{
		{"another selector", " v=1; a=rsa-sha256; d=example.com; s=other; b=z", "same", 1, 0},
		{"and another canonicalization", " v=1; a=rsa-sha256; d=example.com; s=other; " +
			"c=relaxed; b=z", "differs in=canonicalization", 0, 0},
		{"another kind of key", " v=1; a=ed25519-sha256; d=example.com; s=other; b=z",
			"not compared not_compared=example.com/new/rsa-sha256, example.com/other/ed25519-sha256", 0, 1},
		{"another domain", " v=1; a=rsa-sha256; d=example.net; s=new; b=z",
			"not compared not_compared=example.com/new/rsa-sha256, example.net/new/rsa-sha256", 0,
			1},
	} {
		for _, ignore := range [][]string{{"signed", "removed"}, nil} {
			var log bytes.Buffer
			old := &standIn{asks: modern, says: atEnd(inserted("DKIM-Signature",
				" v=1; a=rsa-sha256; d=example.com; s=new; b=y"), accept)}
			old.listen(t)
			recorder := shadow.NewRecorder(slog.New(slog.NewJSONHandler(&log, nil)), nil, ignore...)
			r := start(t, old, outcome(adds("DKIM-Signature", tc.ours)),
				func(o *shadow.Options) { o.Recorder = recorder })
			c := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
			if _, err := c.Send(miltertest.Message{From: "a@example.com",
				To: []string{"x@example.net"}, Raw: []byte(simple)}); err != nil {
				t.Fatal(err)
			}
			c.Quit()
			r.stop()
			if err := recorder.Close(time.Minute); err != nil {
				t.Fatal(err)
			}
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%v: %s", err, &log)
			}
			if ignore != nil {
				check(t, line, tc.want)
			}
			var s shadow.Summary
			if err := s.ReadLog(&log, "signed", "removed"); err != nil {
				t.Fatal(err)
			}
			if s.Messages != 1 || s.Same != tc.same || s.NotCompared != tc.notYet {
				t.Errorf("%s, ignoring %q: the report has %+v", tc.name, ignore, s)
			}
		}
	}
}

// splitWords parts a text before each word that has a "=", which is a key.
func splitWords(s string) []string {
	var out []string
	for _, w := range strings.Fields(s) {
		if strings.Contains(w, "=") || len(out) == 0 {
			out = append(out, w)
		} else {
			out[len(out)-1] += " " + w
		}
	}
	return out
}

// TestTooMany holds that connections beyond those that are judged are handed on all the same.
func TestTooMany(t *testing.T) {
	old := &standIn{asks: asking(guard.LeadingSpace | guard.NoBody)}
	old.listen(t)
	r := start(t, old, ours(nil), func(o *shadow.Options) { o.Judged = 1 })
	first := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	second := dial(t, r.path, miltertest.Postfix, miltertest.Options{})
	if got := second.Agreement().Protocol; got != guard.LeadingSpace|guard.NoBody {
		t.Errorf("the second is asked for %#x, which is not what the upstream asked for", got)
	}
	m := miltertest.Message{From: "a@example.com", To: []string{"x@example.net"},
		Raw: []byte(simple)}
	for _, c := range []*miltertest.Conn{first, second} {
		if o, err := c.Send(m); err != nil || o.Refused() {
			t.Errorf("%v %v", o.Reply, err)
		}
		c.Quit()
	}
	r.stop()
	if s := r.recorder.Summary(); s.Same != 1 ||
		s.NotJudged["too many connections at a time"] != 1 {
		t.Errorf("%+v, want one same and one not judged", s)
	}
}
