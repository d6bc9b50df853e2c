package arc_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"mailseal/milter/arc"
	"mailseal/milter/dkim"
	"mailseal/milter/dns"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/message"
)

const vectors = "../../../shared/vectors/arc/"

// scenario is one document of the suite: tests in their order, and a zone. The files hold a name
// twice here and there, which no decoding into a map allows.
type scenario struct {
	settings map[string]string
	tests    []map[string]string
	zone     *dnstest.Zone
}

func readSuite(t *testing.T, file string) []scenario {
	t.Helper()
	text, err := os.ReadFile(vectors + file)
	if os.IsNotExist(err) {
		t.Skip("no vectors: ../shared is absent")
	}
	var all []scenario
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	for {
		var doc yaml.Node
		if err := decoder.Decode(&doc); err == io.EOF {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all = append(all, readScenario(doc.Content[0]))
	}
}

func readScenario(n *yaml.Node) scenario {
	s := scenario{settings: map[string]string{}}
	for key, value := range pairs(n) {
		switch key {
		case "tests":
			for name, test := range pairs(value) {
				fields := map[string]string{"name": name}
				for k, v := range pairs(test) {
					fields[k] = v.Value
				}
				s.tests = append(s.tests, fields)
			}
		case "txt-records":
			texts := map[string][]string{}
			for name, text := range pairs(value) {
				texts[name] = []string{strings.ReplaceAll(text.Value, "\n", "")}
			}
			s.zone = dnstest.FromMap(texts)
		default:
			s.settings[key] = value.Value
		}
	}
	return s
}

// pairs goes through a mapping, names that stand twice included.
func pairs(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

// validate runs both phases over a whole message.
func validate(t testing.TB, r dns.Resolver, raw string, more ...message.BodyHash) (arc.Result,
	*message.Message) {
	t.Helper()
	return validateWith(t, t.Context(), &arc.Validator{Resolver: r, Now: testClock}, raw, more...)
}

func validateWith(t testing.TB, ctx context.Context, v *arc.Validator, raw string,
	more ...message.BodyHash) (arc.Result, *message.Message) {
	t.Helper()
	var x *arc.Validation
	m, err := message.Read(strings.NewReader(raw), 10<<20,
		func(h message.Header) []message.BodyHash {
			x = v.Select(h)
			return append(x.BodyHashes(), more...)
		})
	if err != nil {
		t.Fatal(err)
	}
	return x.Run(ctx, m), m
}

func testClock() time.Time { return time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC) }

func TestSuiteValidation(t *testing.T) {
	names := map[string]bool{}
	for _, s := range readSuite(t, "arc-draft-validation-tests.yml") {
		for _, test := range s.tests {
			names[test["name"]] = true
			t.Run(test["name"], func(t *testing.T) {
				want := arc.Value(strings.ToLower(strings.TrimSpace(test["cv"])))
				// the newest seal says cv=fail, so that there is nothing to find out
				if want == "" {
					want = arc.Fail
				}
				got, _ := validate(t, s.zone, test["message"])
				if got.Value != want || (got.Reason == "") != (got.Value != arc.Fail) {
					t.Errorf("%s: got %s (%s), want %s", test["description"], got.Value, got.Reason,
						want)
				}
				if sealed := strings.TrimSpace(test["cv"]) == "" && !strings.HasSuffix(test["name"],
					"as1_fail"); sealed && !got.Sealed {
					t.Error("the newest seal says cv=fail, but the chain is not taken for sealed")
				}
			})
		}
	}
	if len(names) != 171 {
		t.Errorf("%d names, want 171", len(names))
	}
}

func TestSuiteSigning(t *testing.T) {
	count := 0
	for _, s := range readSuite(t, "arc-draft-sign-tests.yml") {
		for _, test := range s.tests {
			count++
			t.Run(test["name"], func(t *testing.T) { testSigning(t, s, test) })
		}
	}
	if count != 17 {
		t.Errorf("%d tests, want 17", count)
	}
}

func testSigning(t *testing.T, s scenario, test map[string]string) {
	block, _ := pem.Decode([]byte(s.settings["privatekey"]))
	key, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	at, err := strconv.Atoi(test["t"])
	if err != nil {
		t.Fatal(err)
	}
	options := arc.SealOptions{Fields: strings.Split(test["sig-headers"], ":"),
		Time: time.Unix(int64(at), 0)}
	chain, m := validate(t, s.zone, test["message"], options.BodyHash())
	k := dkim.Key{Domain: s.settings["domain"], Selector: s.settings["sel"], Signer: key}
	fields, err := arc.Seal(m.Header, m.Body, chain, payload(m.Header, test["srv-id"]), k, options)
	if strings.TrimSpace(test["AS"]) == "" {
		if !errors.Is(err, arc.ErrNoMore) {
			t.Errorf("got %v, %v, want nothing more", fields, err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for i, name := range []string{"AS", "AMS", "AAR"} {
		if got, want := squeeze(string(fields[i].Value())), squeeze(test[name]); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", name, got, want)
		}
	}
}

func squeeze(s string) string { return strings.Join(strings.Fields(s), "") }

// payload merges what the fields of srv say, as the suite's own harness does.
func payload(h message.Header, srv string) string {
	merged := srv
	for _, i := range h.Fields("Authentication-Results") {
		id, results, _ := strings.Cut(strings.Join(strings.Fields(string(h[i].Value())), " "), ";")
		if id == srv {
			merged += ";" + results
		}
	}
	return merged
}
