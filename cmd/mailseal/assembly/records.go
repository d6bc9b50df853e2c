package assembly

import (
	"context"
	"iter"

	"mailseal/config"
	"mailseal/keys"
	"mailseal/keys/keylife"
)

// Record is a DNS record that has to be published, and the domain that signs with its key: the d=
// tag.
type Record struct {
	keys.Record
	Domain string
}

// Records returns the records of keys, wherever they sign. Keys that cannot be loaded are left out,
// since those who load
// them report it. Odd is called for the others that have no record: with a nil error for a key that
// signs as the domain of any author, else with the reason. It may be nil.
func Records(ctx context.Context, source keys.Source, places []Placement,
	odd func(Placement, error)) []Record {
	if odd == nil {
		odd = func(Placement, error) {}
	}
	var out []Record
	for _, p := range places {
		k, err := look(ctx, source, p.Key, p.Domain)
		if err != nil {
			continue
		}
		if p.Domain != "" { // else it is for the source to say
			k.Domain = p.Domain
		}
		if k.Domain == "%" {
			odd(p, nil)
			continue
		}
		record, err := k.Record(keys.RecordOptions{})
		if err != nil {
			odd(p, err)
			continue
		}
		out = append(out, Record{record, k.Domain})
	}
	return out
}

// ManagedRecords returns the records of the state directory's keys that must be in the DNS by now.
// It is empty when the state cannot be read, which those who sign with such keys report.
func ManagedRecords(cfg *config.Config) []Record {
	state, err := keylife.Store{Dir: cfg.StateDirectory}.Read()
	if err != nil {
		return nil
	}
	var out []Record
	for _, k := range state.Keys {
		if k.Stage == keys.Published || k.Stage == keys.Active || k.Stage == keys.Retiring {
			out = append(out, Record{k.Record(), k.Domain})
		}
	}
	return out
}

// SigningRecords yields the records of the keys beside those of the state directory that sign now:
// of the key table's, those that rules name, and what sources have answered with and is remembered.
func (p *Parts) SigningRecords(ctx context.Context) iter.Seq[Record] {
	return func(yield func(Record) bool) {
		var table []Record
		if p.Keys != nil {
			table = Records(ctx, p.Table, p.Expand(UsedPlacements(p.Config)), nil)
		}
		for _, r := range table {
			if !yield(r) {
				return
			}
		}
		for _, k := range p.Remembered() {
			record, err := k.Record(keys.RecordOptions{})
			if err == nil && !yield(Record{record, k.Domain}) {
				return
			}
		}
	}
}
