package setup

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/publish"
	"mailseal/keys"
	"mailseal/milter/dmarc"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
	"mailseal/milter/keydns"
	"mailseal/milter/spf"
)

// Record is a DNS record that has to be published.
type Record struct {
	Kind    string   `json:"kind"` // "dkim", "spf" or "dmarc"
	Domain  string   `json:"domain"`
	Name    string   `json:"name"`  // without a final dot
	Value   string   `json:"value"` // of the TXT record, whole
	Zone    string   `json:"zone"`  // as a line of a zone file
	Strings []string `json:"strings"`
	Was     string   `json:"was,omitempty"` // the record that it takes the place of
	// "published", "missing", "to be changed" or "unknown"
	State   string        `json:"state"`
	Servers []ServerShows `json:"servers,omitempty"`

	key keys.Record // of dkim
}

// ServerShows is the answer of a name server.
type ServerShows struct {
	Server string `json:"server"`
	Shows  string `json:"shows"`
}

// newRecord makes the forms of a record.
func newRecord(kind, d, name, value string) Record {
	p := publish.Record{Name: name, Text: value}
	return Record{Kind: kind, Domain: d, Name: name, Value: value, Zone: p.Zone(),
		Strings: p.Strings()}
}

// publish finds out which records are needed, prints them, and waits for them if it is told to.
func (r *run) publish() error {
	if r.Resolver == nil {
		_, resolver, err := assembly.NewResolver(r.cfg)
		if err != nil {
			return answer.NewUnknown(err)
		}
		r.Resolver = resolver
	}
	for _, d := range r.Domains {
		r.result.Records = append(r.result.Records, r.dkim(d)...)
		r.result.Records = append(r.result.Records, r.spf(d), r.dmarc(d))
	}
	for i := range r.result.Records {
		r.sayRecord(&r.result.Records[i])
	}
	if r.Wait > 0 {
		return r.await()
	}
	if r.missing() > 0 {
		r.todo("publish the records above; mailseal setup --wait 1h waits for them, mailseal " +
			"check --dns compares them")
	}
	return nil
}

func (r *run) missing() int {
	n := 0
	for _, x := range r.result.Records {
		if x.State != "published" {
			n++
		}
	}
	return n
}

// missingKeys reports whether the record of a key is not published.
func (r *run) missingKeys() bool {
	return slices.ContainsFunc(r.result.Records, func(x Record) bool {
		return x.Kind == "dkim" && x.State != "published"
	})
}

// dkim are the records of the keys that sign for a domain.
func (r *run) dkim(d string) []Record {
	table := assembly.NewKeyTable(r.cfg, assembly.FileKeys(r.ctx, r.cfg, nil), nil)
	var out []Record
	for _, k := range assembly.Records(r.ctx, table, assembly.UsedPlacements(r.cfg), nil) {
		if k.Domain != d {
			continue
		}
		x := newRecord("dkim", d, k.Name, k.Text)
		x.key = k.Record
		x.State = stateOf(keydns.Inspect(r.ctx, r.Resolver, k.Record, d))
		out = append(out, x)
	}
	return out
}

func stateOf(v keydns.View) string {
	switch {
	case v.State == keydns.Shown && !v.Harm():
		return "published"
	case v.State == keydns.Absent:
		return "missing"
	case v.State == keydns.Unreached:
		return "unknown"
	}
	return "to be changed"
}

// texts are the TXT records at a name whose text begins in a way.
func texts(ctx context.Context, resolver dns.Resolver, name, prefix string) ([]string, error) {
	a, err := resolver.Lookup(ctx, name, dns.TXT)
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(slices.Clone(a.Texts), func(s string) bool {
		return !strings.HasPrefix(strings.ToLower(s), prefix) ||
			len(s) > len(prefix) && s[len(prefix)] != ' ' && s[len(prefix)] != ';'
	}), nil
}

// spf is the published record with this host in it.
func (r *run) spf(d string) Record {
	found, err := texts(r.ctx, r.Resolver, d, "v=spf1")
	old := ""
	if len(found) > 0 {
		old = found[0]
	}
	if old == "" {
		x := newRecord("spf", d, d, "v=spf1"+mechanisms(r.Addresses)+orMX(r.Addresses)+" ~all")
		x.State = "missing"
		if err != nil {
			x.State = "unknown"
		}
		return x
	}
	var lacking []string
	for _, a := range r.Addresses {
		if !r.maySend(a, d) {
			lacking = append(lacking, a)
		}
	}
	x := newRecord("spf", d, d, extend(old, mechanisms(lacking)))
	x.State = "published"
	if len(lacking) > 0 || len(found) > 1 {
		x.State, x.Was = "to be changed", strings.Join(found, "\n")
	}
	return x
}

// orMX names the hosts that receive the domain's mail where no address is known.
func orMX(addresses []string) string {
	if len(addresses) == 0 {
		return " mx"
	}
	return ""
}

func (r *run) maySend(address, d string) bool {
	ip, err := netip.ParseAddr(address)
	if err != nil {
		return true // validate has refused it
	}
	ctx, cancel := context.WithTimeout(r.ctx, 20*time.Second)
	defer cancel()
	checker := spf.Checker{Resolver: r.Resolver}
	result := checker.Check(ctx, spf.Identity{IP: ip, Helo: r.AuthservID, MailFrom: "postmaster@" +
		d})
	return result.Value == spf.Pass
}

// mechanisms are those of addresses, each with a space before it.
func mechanisms(addresses []string) string {
	var b strings.Builder
	for _, a := range addresses {
		ip, err := netip.ParseAddr(a)
		switch {
		case err != nil:
		case ip.Is4():
			b.WriteString(" ip4:" + ip.String())
		default:
			b.WriteString(" ip6:" + ip.String())
		}
	}
	return b.String()
}

// extend puts mechanisms behind the version, where no term before them can match first.
func extend(old, more string) string { return old[:len("v=spf1")] + more + old[len("v=spf1"):] }

// dmarc is the domain's own record, or the one that holds for it, or one that asks only for
// reports.
func (r *run) dmarc(d string) Record {
	ctx, cancel := context.WithTimeout(r.ctx, 20*time.Second)
	defer cancel()
	checker := dmarc.Checker{Resolver: r.Resolver}
	result := checker.Check(ctx, []dmarc.Author{{Domain: domain.Name(d)}}, nil)
	if result.Record != nil {
		x := newRecord("dmarc", d, "_dmarc."+string(result.PolicyDomain), result.Record.Text)
		x.State = "published"
		return x
	}
	value := "v=DMARC1; p=none"
	if r.Reports != "" {
		value += "; rua=mailto:" + r.Reports
	}
	x := newRecord("dmarc", d, "_dmarc."+d, value)
	x.State = "missing"
	if result.Value == dmarc.Temperror {
		x.State = "unknown"
	}
	return x
}

// sayRecord prints a record in its three forms.
func (r *run) sayRecord(x *Record) {
	if x.State == "published" {
		r.say("\n%s of %s: published at %s\n", strings.ToUpper(x.Kind), x.Domain, x.Name)
		return
	}
	r.say("\n%s of %s: %s\n", strings.ToUpper(x.Kind), x.Domain, x.State)
	if x.Was != "" {
		r.say("instead of:\n%s\n", indent(x.Was))
	}
	if !r.JSON {
		// as say
		_ = publish.Record{Name: x.Name, Text: x.Value}.Write(r.Out, "  ", publish.Columns(r.Out))
	}
}

func indent(text string) string { return "    " + strings.ReplaceAll(text, "\n", "\n    ") }

// firstPause and lastPause are between two looks at the name servers.
const (
	firstPause = 5 * time.Second
	lastPause  = time.Minute
)

// await waits until each name server of each domain shows the records, and prints what changes.
func (r *run) await() error {
	o, err := assembly.RotationOptions(r.cfg)
	if err != nil {
		return answer.NewUnknown(err)
	}
	ctx, cancel := context.WithTimeout(r.ctx, r.Wait)
	defer cancel()
	said := map[string]string{}
	for pause := min(firstPause, r.Wait/10); ; pause = min(2*pause, lastPause) {
		for i := range r.result.Records {
			x := &r.result.Records[i]
			if x.State == "published" && x.Servers != nil {
				continue
			}
			text := r.lookAt(ctx, o.Panel, x)
			if said[x.Name+x.Kind] != text {
				said[x.Name+x.Kind] = text
				r.say("%s: %s\n", x.Name, text)
			}
		}
		if r.missing() == 0 {
			r.done("all records are published")
			return nil
		}
		select {
		case <-ctx.Done():
			r.fault("records that not every name server shows: %d of "+
				"%d", r.missing(), len(r.result.Records))
			return nil
		case <-time.After(pause):
		}
	}
}

// lookAt asks each name server for a record, and says what they show.
func (r *run) lookAt(ctx context.Context, p *keydns.Panel, x *Record) string {
	if x.Kind == "dkim" {
		seen, err := p.Look(ctx, x.key, x.Domain)
		if err != nil {
			return "no name server could be queried: " + answer.Text(err)
		}
		x.Servers = nil
		for _, s := range seen {
			x.Servers = append(x.Servers, ServerShows{s.Server, stateOf(s.View)})
		}
		if keydns.Sum(seen, 0) == keys.SightKey {
			x.State = "published"
		}
		return keydns.Describe(seen)
	}
	prefix := map[string]string{"spf": "v=spf1", "dmarc": "v=dmarc1"}[x.Kind]
	servers, err := p.Of(ctx, x.Name)
	if err != nil {
		return "no name server could be queried: " + answer.Text(err)
	}
	x.Servers = nil
	all, out := true, []string{}
	for _, s := range servers {
		found, err := texts(ctx, s.Resolver, x.Name, prefix)
		shows := "no record"
		switch {
		case err != nil:
			shows = "no answer: " + answer.Text(err)
		case len(found) == 1 && found[0] == x.Value:
			shows = "the record"
		case len(found) > 0:
			shows = "another record: " + strings.Join(found, " | ")
		}
		all = all && shows == "the record"
		x.Servers = append(x.Servers, ServerShows{s.Name, shows})
		out = append(out, s.Name+": "+shows)
	}
	if all {
		x.State = "published"
	}
	return strings.Join(out, "; ")
}
