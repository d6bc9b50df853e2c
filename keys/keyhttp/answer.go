package keyhttp

import (
	"bytes"
	"encoding/json"
	"fmt"

	"mailseal/keys"
)

// answer is a service's answer for a key or a sender, which may be inside Vault's envelope.
type answer struct {
	Name       string             `json:"name"`
	Domain     string             `json:"domain"`
	Selector   string             `json:"selector"`
	PrivateKey string             `json:"private_key"`
	Keys       *[]json.RawMessage `json:"keys"`
	Data       *struct {
		Data *answer `json:"data"`
	} `json:"data"`
}

// read takes an answer out of its envelope. What it does not understand it does not quote: it may
// be a key.
func read(body []byte) (answer, error) {
	var a answer
	if !isObject(body) || json.Unmarshal(body, &a) != nil {
		return answer{}, fmt.Errorf("%w: it is not a JSON object of the expected form",
			keys.ErrAnswer)
	}
	if a.Data != nil && a.Data.Data != nil && a.PrivateKey == "" && a.Keys == nil {
		return *a.Data.Data, nil
	}
	return a, nil
}

func isObject(body []byte) bool {
	body = bytes.TrimSpace(body)
	return len(body) > 0 && body[0] == '{' && json.Valid(body)
}

// parseKey reads the answer about one key, which may name a file below dir.
func parseKey(body []byte, dir string) (keys.Key, error) {
	a, err := read(body)
	if err != nil {
		return keys.Key{}, err
	}
	return a.key(dir)
}

func (a answer) key(dir string) (keys.Key, error) {
	signer, err := keys.ParseBelow([]byte(a.PrivateKey), dir)
	if err != nil {
		return keys.Key{}, fmt.Errorf("%w: private_key of selector %q, domain %q: %w",
			keys.ErrAnswer, a.Selector, a.Domain, err)
	}
	return keys.Key{Name: a.Name, Domain: a.Domain, Selector: a.Selector, Signer: signer}, nil
}

// parseKeys reads the answer about a sender: names of keys, or keys.
func parseKeys(body []byte, dir string) ([]keys.Key, error) {
	a, err := read(body)
	switch {
	case err != nil:
		return nil, err
	case a.Keys == nil:
		return nil, fmt.Errorf("%w: it has no list \"keys\"; an empty list means that no key signs",
			keys.ErrAnswer)
	case len(*a.Keys) > keys.MaxChosen:
		return nil, fmt.Errorf("%w: more than %d keys", keys.ErrAnswer, keys.MaxChosen)
	}
	var out []keys.Key
	for i, raw := range *a.Keys {
		k, err := parseMember(raw, dir)
		if err != nil {
			return nil, fmt.Errorf("keys[%d]: %w", i, err)
		}
		out = append(out, k)
	}
	return out, nil
}

func parseMember(raw json.RawMessage, dir string) (keys.Key, error) {
	var name string
	if json.Unmarshal(raw, &name) == nil && name != "" {
		return keys.Key{Name: name}, nil
	}
	k, err := parseKey(raw, dir)
	if err == nil && k.Name == "" {
		k.Name = k.Selector + "._domainkey." + k.Domain
	}
	return k, err
}
