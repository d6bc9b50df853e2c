package main

import (
	"fmt"
	"path/filepath"

	"mailseal/contrib/bench/measure"
)

// small is the body of messages of which something else grows.
const small = 4000

// unsigned writes a message to a file and returns the driver's arguments: mail of ours.
func (g *growth) unsigned(name string, message []byte) ([]string, error) {
	file := filepath.Join(g.Dir, name+".eml")
	return []string{file}, measure.WriteOnce(file, message)
}

// signed does so with a message that a mailseal of the given configuration has signed: mail of
// strangers.
func (g *growth) signed(name, config string, message []byte) ([]string, error) {
	file := filepath.Join(g.Dir, name+"-signed.eml")
	return append(measure.AsClient(), file), g.Signed(file, config, message)
}

// both measures over x what signing a message costs, and what verifying it costs: two curves of
// processor time, and two of memory.
func (g *growth) both(name string, xs []int, message func(x int) []byte) (processor, memory []curve,
	err error) {
	signing := g.Signs("relaxed/relaxed", "rsa")
	for _, way := range []struct {
		name, config string
		mail         func(x int) ([]string, error)
	}{
		{"sign, RSA-2048", signing, func(x int) ([]string,
			error) {
			return g.unsigned(fmt.Sprint(name, x), message(x))
		}},
		{"verify", measure.VerifiesAlone, func(x int) ([]string,
			error) {
			return g.signed(fmt.Sprint(name, x), signing, message(x))
		}},
	} {
		p, err := g.serve(way.config)
		if err != nil {
			return nil, nil, err
		}
		defer p.Stop()
		time, octets, err := g.curve(way.name, p, xs, way.mail)
		if err != nil {
			return nil, nil, err
		}
		processor, memory = append(processor, time), append(memory, octets)
	}
	return processor, memory, nil
}

func (g *growth) bodies() ([]*chart, error) {
	sizes := []int{1_000, 3_000, 10_000, 30_000, 100_000, 300_000, 1_000_000, 3_000_000, 10_000_000,
		25_000_000, 50_000_000}
	processorTime, memory, err := g.both("body", sizes,
		func(x int) []byte { return measure.Letter(x) })
	return []*chart{
		{
			file: "body", title: "Processor time by size of the body",
			what: "One message after the other of the same size; relaxed canonicalization",
			x:    octets, y: processor, each: unit{1e6, "ms for each MB"}, curves: processorTime,
		},
		{
			file: "body-memory", title: "Resident memory by size of the body",
			what: "After messages of that size, two at a time; bodies are not stored",
			x:    octets, y: resident, each: unit{1e6, "MB for each MB"}, curves: memory,
		},
	}, err
}

// mostSigned is how many of the fields of a header are signed at most: h= holds 1,000 names,
// oversigning included.
const mostSigned = 900

// fields has a header grow by fields that no signature covers, and by fields that are signed: the
// default signs every instance of References.
func (g *growth) fields() ([]*chart, error) {
	numbers := []int{10, 20, 50, 100, 200, 500, 1000, 2000}
	others, _, err := g.both("other-fields", numbers, func(x int) []byte { return long(x, 0) })
	if err != nil {
		return nil, err
	}
	signed, _, err := g.both("signed-fields", numbers,
		func(x int) []byte { return long(x, mostSigned) })
	return []*chart{
		{
			file: "fields", title: "Processor time by number of header fields, few of them signed",
			what: "Header fields, each of another name; 4 KB of body",
			x:    count("header fields"), y: processor, each: unit{1e3, "µs for each field"}, curves: others,
		},
		{
			file: "fields-signed", title: fmt.Sprintf("Processor time by number of header "+
				"fields, up to %d of them signed", mostSigned),
			what: "Header fields, all but the first of one name and signed, as many as h= may hold; 4 KB of body",
			x:    count("header fields"), y: processor, each: unit{1e3, "µs for each field"}, curves: signed,
		},
	}, err
}

// long is a message of so many fields, at most so many of which were added and will be signed.
func long(fields, signed int) []byte {
	var more []string
	for i := range fields - measure.HeaderFields {
		field := "X-Trace-%d: from the host that it came from, 2026-11-22 10:00:00 +0000\r\n"
		if i < signed {
			field = "References: <the.message.before.number.%d@lists.host.example.com>\r\n"
		}
		more = append(more, fmt.Sprintf(field, i))
	}
	return measure.Letter(small, more...)
}

// mostSignatures is how many signatures the study goes up to; the daemon is told to try so many.
const mostSignatures = 20

func (g *growth) signatures() ([]*chart, error) {
	var selectors []string
	for i := range mostSignatures {
		selectors = append(selectors, fmt.Sprintf("s%d", i))
		g.Publish(selectors[i])
	}
	p, err := g.serve(measure.VerifiesAlone + fmt.Sprintf("max_signatures = %d\n", mostSignatures))
	if err != nil {
		return nil, err
	}
	defer p.Stop()
	c, _, err := g.curve("verify, RSA-2048", p, []int{0, 1, 2, 3, 5, 8, 12, 16, mostSignatures},
		func(x int) ([]string, error) {
			name := fmt.Sprint("signatures", x)
			if x > 0 {
				return g.signed(name, g.Signs("relaxed/relaxed", selectors[:x]...),
					measure.Letter(small))
			}
			args, err := g.unsigned(name, measure.Letter(small))
			return append(measure.AsClient(), args...), err
		})
	return []*chart{{
		file: "signatures", title: "Processor time by number of signatures",
		what: "Good signatures by as many keys, all in the cache; 4 KB of body",
		x:    count("signatures of the message"), y: processor,
		each: unit{1e3, "µs for each signature"}, curves: []curve{c},
	}}, err
}
