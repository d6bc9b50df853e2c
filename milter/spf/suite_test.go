package spf

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.yaml.in/yaml/v3"

	"mailseal/milter/dns/dnstest"
)

// suite is where the RFC 7208 test suite is read: 203 cases in several documents.
const suite = "../../../shared/vectors/spf/rfc7208-tests.yml"

// scenario is one document of the suite.
type scenario struct {
	Description string
	Tests       map[string]struct {
		Description, Helo, Host, MailFrom, Explanation string
		Result                                         yaml.Node
	}
	Zonedata map[string][]yaml.Node
}

func scenarios(t *testing.T) []scenario {
	t.Helper()
	data, err := os.ReadFile(filepath.FromSlash(suite))
	if err != nil {
		t.Skipf("the RFC 7208 suite is not here, nothing is tested: %v", err)
	}
	var all []scenario
	for d := yaml.NewDecoder(bytes.NewReader(data)); ; {
		var s scenario
		err := d.Decode(&s)
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

// zone turns the suite's data into a zone. A row SPF stands for TXT too unless the name has TXT
// rows of its own (NONE is one without a record); a row TIMEOUT makes the types fail that have no
// row.
func (s scenario) zone(t *testing.T) *dnstest.Zone {
	t.Helper()
	z := &dnstest.Zone{}
	for name, rows := range s.Zonedata {
		types := map[string]bool{}
		timeout, hasTXT := false, slices.ContainsFunc(rows,
			func(n yaml.Node) bool {
				return n.Kind == yaml.MappingNode && n.Content[0].Value == "TXT"
			})
		for _, row := range rows {
			if row.Kind == yaml.ScalarNode {
				timeout = timeout || row.Value == "TIMEOUT"
				continue
			}
			rtype, value := row.Content[0].Value, row.Content[1]
			if rtype == "SPF" && hasTXT {
				continue
			}
			if rtype == "SPF" {
				rtype = "TXT"
			}
			if value.Value == "NONE" {
				continue
			}
			types[rtype] = true
			addRow(t, z, name, rtype, value)
		}
		if timeout {
			failing := slices.DeleteFunc([]string{"A", "AAAA", "MX", "TXT", "PTR"},
				func(rtype string) bool { return types[rtype] })
			mustAdd(t, z, "$TIMEOUT "+name+" "+strings.Join(failing, " "))
		}
	}
	return z
}

func addRow(t *testing.T, z *dnstest.Zone, name, rtype string, value *yaml.Node) {
	t.Helper()
	if rtype == "TXT" {
		text := value.Value
		for _, part := range value.Content {
			text += part.Value
		}
		z.AddTXT(name, text)
		return
	}
	data := value.Value
	if rtype == "MX" {
		data = value.Content[0].Value + " " + absolute(value.Content[1].Value)
	}
	if rtype == "PTR" || rtype == "CNAME" {
		data = absolute(data)
	}
	mustAdd(t, z, fmt.Sprintf("%s 300 IN %s %s", absolute(name), rtype, data))
}

// absolute writes a name of the suite as a zone file wants it.
func absolute(name string) string {
	var b strings.Builder
	for _, c := range []byte(strings.TrimSuffix(name, ".")) {
		if strings.IndexByte(` '@;()"\`, c) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(c)
	}
	return b.String() + "."
}

func mustAdd(t *testing.T, z *dnstest.Zone, text string) {
	t.Helper()
	if err := z.Add(text + "\n"); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
}

func TestSuite(t *testing.T) {
	cases := 0
	for _, s := range scenarios(t) {
		z := s.zone(t)
		checker := &Checker{Resolver: z, Receiver: "receiver.example",
			Now: func() time.Time { return time.Unix(1700000000, 0) }}
		for name, tt := range s.Tests {
			cases++
			t.Run(s.Description+"/"+name, func(t *testing.T) {
				want := []string{tt.Result.Value}
				for _, n := range tt.Result.Content {
					want = append(want, n.Value)
				}
				got := checker.Check(context.Background(),
					Identity{IP: netip.MustParseAddr(tt.Host), Helo: tt.Helo,
						MailFrom: tt.MailFrom})
				if !slices.Contains(want, string(got.Value)) {
					t.Errorf("got %s (%s), want %s\n%s\n%v", got.Value, got.Reason, want,
						tt.Description, got.Tree)
				}
				if tt.Explanation == "DEFAULT" {
					tt.Explanation = ""
				}
				if got.Value == Fail && got.Explanation != tt.Explanation {
					t.Errorf("explanation %q, want %q", got.Explanation, tt.Explanation)
				}
			})
		}
	}
	if cases != 203 {
		t.Errorf("%d cases, want 203", cases)
	}
}
