package dnstest

import (
	"slices"
	"strings"

	wire "github.com/miekg/dns"
)

// Covers reports whether the zone can say that a name does not exist: whether the name is at or
// below the apex of a zone in it. An apex is a name with an SOA record. Records that are below no
// such name, as in a file that is a part of a zone, are their own apex, without the labels that
// begin with an underscore and all before these: that of _dmarc.example.com is example.com.
func (z *Zone) Covers(name string) bool {
	z.mu.RLock()
	defer z.mu.RUnlock()
	name = normal(owner(name))
	for up := name; up != ""; up = parent(up) {
		if z.isApex(up) {
			return true
		}
	}
	return slices.ContainsFunc(z.loose(),
		func(apex string) bool { return wire.IsSubDomain(apex, name) })
}

func (z *Zone) isApex(name string) bool {
	n := z.names[name]
	return n != nil && len(n.records[wire.TypeSOA]) > 0
}

// loose are the apexes of the records that are below no SOA record.
func (z *Zone) loose() []string {
	var out []string
	for name, n := range z.names {
		if len(n.records)+len(n.fails) == 0 {
			continue
		}
		isBelow := false
		for up := name; up != "" && !isBelow; up = parent(up) {
			isBelow = z.isApex(up)
		}
		if base := host(name); !isBelow && base != "." {
			out = append(out, base)
		}
	}
	return out
}

// host is a name without its labels up to the last one that begins with an underscore, or is a
// wildcard.
func host(name string) string {
	base := name
	for up := name; up != "." && up != ""; up = parent(up) {
		if strings.HasPrefix(up, "_") || strings.HasPrefix(up, "*.") {
			base = parent(up)
		}
	}
	return base
}
