package crosscheck

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"

	"mailseal/milter/taglist"
)

// resolver is between go-msgauth and a Lookup. go-msgauth asks from several goroutines at once,
// once a signature, dies of a panic in there, and takes any error but a bare *net.DNSError for a
// permanent one.
type resolver struct {
	ctx    context.Context
	lookup Lookup

	mu      sync.Mutex
	answers map[string]answer
}

type answer struct {
	texts []string
	err   error
}

// texts is what go-msgauth calls.
func (r *resolver) texts(name string) ([]string, error) {
	a := r.answer(name)
	return a.texts, a.err
}

func (r *resolver) answer(name string) answer {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, asked := r.answers[name]
	if !asked {
		a = r.ask(name)
		r.answers[name] = a
	}
	return a
}

// asked returns the key records that were found for the signature with these tags.
func (r *resolver) asked(tags taglist.List) []string {
	s, _ := tags.Value("s")
	d, _ := tags.Value("d")
	return r.answers[s+"._domainkey."+d].texts
}

func (r *resolver) ask(name string) (a answer) {
	defer func() {
		if p := recover(); p != nil {
			a = failed(name, fmt.Sprint(p))
		}
	}()
	texts, err := r.lookup(r.ctx, name)
	if err != nil {
		return failed(name, err.Error())
	}
	if len(texts) == 0 {
		return answer{err: &net.DNSError{Err: "no such record", Name: name, IsNotFound: true}}
	}
	a.texts = make([]string, len(texts))
	for i, t := range texts {
		a.texts[i] = strings.ReplaceAll(t, "\t", " ") // it takes spaces out of p=, and nothing else
	}
	return a
}

func failed(name, why string) answer {
	return answer{err: &net.DNSError{Err: why, Name: name, IsTemporary: true}}
}
