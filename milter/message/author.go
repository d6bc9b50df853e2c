package message

import (
	"errors"
	"fmt"
)

// ErrNoAuthor says that a header names no author domain: there is no From field, none that can be read beyond doubt,
// or none with a domain name. It is wrapped with the reason, for a log.
var ErrNoAuthor = errors.New("message: no author")

// ErrManyAuthors says that a header names several author domains, or has several From fields, of which different
// readers show different ones. It is wrapped with the reason, for a log.
var ErrManyAuthors = errors.New("message: more than one author")

// MaxAuthors is how many addresses of a From field are read; a field with more has no author.
const MaxAuthors = 100

// Author returns the first address of the only From field, if all its addresses have one domain: the author domain of
// RFC 9989 section 4.4. The error wraps ErrNoAuthor or ErrManyAuthors. Its cost is linear in the field.
func (h Header) Author() (Address, error) {
	all, err := h.Authors()
	if err != nil {
		return Address{}, err
	}
	first := all[0]
	for _, a := range all[1:] {
		if a.Domain != first.Domain {
			return Address{}, fmt.Errorf("%w: From has an address in %s and one in %s", ErrManyAuthors, first.place(), a.place())
		}
	}
	if first.Domain == "" {
		return Address{}, fmt.Errorf("%w: From has %s in place of a domain", ErrNoAuthor, first.place())
	}
	return first, nil
}

// place names the domain of a From address in an error.
func (a Address) place() string {
	if a.Domain == "" {
		return "an address literal"
	}
	return a.Domain.String()
}

// Authors returns the addresses of the only From field, at least one and at most MaxAuthors. The error wraps
// ErrNoAuthor or ErrManyAuthors.
func (h Header) Authors() ([]Address, error) {
	from := h.Fields("From")
	switch len(from) {
	case 0:
		return nil, fmt.Errorf("%w: no From field", ErrNoAuthor)
	case 1:
		return parseFrom(h[from[0]].Value())
	}
	return nil, fmt.Errorf("%w: %d From fields", ErrManyAuthors, len(from))
}
