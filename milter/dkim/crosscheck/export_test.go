package crosscheck

import (
	"bufio"
	"bytes"
	"context"
	"slices"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailseal/milter/message"
)

// ExceptionVersions returns the release of go-msgauth that each exception is about, by the
// exception's name, and the names in their order.
func ExceptionVersions() (versions map[string]string, names []string) {
	versions = map[string]string{}
	for _, e := range exceptions {
		versions[e.name] = e.version
		names = append(names, e.name)
	}
	return versions, names
}

// Uncensored returns go-msgauth's own verdict on the topmost signature of a message, whatever the
// exceptions say, and the names of all exceptions that apply to the message or one of its
// signatures.
func Uncensored(raw []byte, lookup Lookup) (applying []string, theirs error) {
	header, body, whole := split(raw)
	known := []facts{lineFacts(header, body)}
	h, err := message.ReadHeader(bufio.NewReader(bytes.NewReader(header)), 10<<20)
	if err == nil {
		known = append(known, headerFacts(h))
	}
	r := &resolver{ctx: context.Background(), lookup: lookup, answers: map[string]answer{}}
	found, err := msgauth.VerifyWithOptions(bytes.NewReader(whole),
		&msgauth.VerifyOptions{LookupTXT: r.texts})
	if err != nil || len(found) == 0 {
		return names(known), err
	}
	for i, at := range h.Fields("DKIM-Signature") {
		f, tags := signatureFacts(h[at], found[i].Err)
		f.recordFacts(r.asked(tags))
		known = append(known, f)
	}
	return names(known), found[0].Err
}

func names(known []facts) (applying []string) {
	for _, e := range exceptions {
		if slices.ContainsFunc(known, e.applies) {
			applying = append(applying, e.name)
		}
	}
	return applying
}
