package daemon

import (
	"regexp"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"mailseal/config"
	"mailseal/milter/dns"
)

// descText takes name and help from the text of a description, which is all that it shows.
var descText = regexp.MustCompile(`fqName: "([^"]*)", help: "((?:[^"\\]|\\.)*)"`)

// TestMetricsInManual holds that METRICS in mailseal.toml(5) describes every metric of the daemon,
// in the words of /metrics.
func TestMetricsInManual(t *testing.T) {
	m := newMetrics("test")
	client, err := dns.New(dns.Options{Servers: []string{"127.0.0.1"}})
	if err != nil {
		t.Fatal(err)
	}
	m.watchDNS(client, dns.NewGate(dns.NewCache(client, dns.CacheOptions{}), dns.GateOptions{}))
	m.watchSpool(nil)
	m.watchSpoolState("", nil)
	descriptions := make(chan *prometheus.Desc)
	go func() {
		m.registry.Describe(descriptions)
		statusMetrics{}.Describe(descriptions)
		shadowMetrics{}.Describe(descriptions)
		close(descriptions)
	}()
	manual := strings.Join(strings.Fields(strings.ReplaceAll(config.Manual(), `\-`, "-")), " ")
	n := 0
	for d := range descriptions {
		found := descText.FindStringSubmatch(d.String())
		if found == nil {
			t.Fatalf("cannot read %s", d)
		}
		if !strings.HasPrefix(found[1], "mailseal_") {
			continue // Go's own
		}
		n++
		if want := found[1] + " " + found[2]; !strings.Contains(manual, want) {
			t.Errorf("the manual lacks\n.TP\n%s\n%s", found[1], found[2])
		}
	}
	if n < 60 {
		t.Errorf("found %d metrics", n)
	}
}
