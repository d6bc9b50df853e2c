package keyhttp

import (
	"errors"
	"strings"
	"testing"

	"mailseal/keys"
)

func TestExpand(t *testing.T) {
	for _, tc := range []struct{ template, login, want string }{
		{"https://p.example/dkim?u=$1&d=$2", "joe", "https://p.example/dkim?u=joe&d=example.com"},
		{"https://p.example/dkim?u=$1&d=$2", "joe@x&d=other",
			"https://p.example/dkim?u=joe%40x%26d%3Dother&d=example.com"},
		{"https://p.example/$1/$2/key", "a/../b c", "https://p.example/a%2F..%2Fb%20c/example.com/key"},
		{"https://p.example/$1/key", "..", "https://p.example/%2E%2E/key"},
		{"https://p.example/$2?who=$1", "$2", "https://p.example/example.com?who=%242"},
		{"https://p.example/$2?who=$1", "", "https://p.example/example.com?who="},
	} {
		if got := expand(tc.template, tc.login, "example.com"); got != tc.want {
			t.Errorf("%s with %q: got %s, want %s", tc.template, tc.login, got, tc.want)
		}
	}
}

func TestTemplate(t *testing.T) {
	_, o := serve(t, routes{
		"/v1/dkim.php?user=joe%40x&domain=example.com": {200,
			`{"keys":[{"domain":"example.com","selector":"s","private_key":"` + seed + `"}]}`},
		"/v1/dkim.php?user=&domain=page.example": {404, "<html>"},
	})
	o.URL += "dkim.php?user=$1&domain=$2"
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	got, err := s.Choose(t.Context(), keys.Query{Login: "joe@x", Domain: "example.com"})
	if err != nil || len(got) != 1 || got[0].Name != "s._domainkey.example.com" {
		t.Errorf("%v, %+v", err, got)
	}
	if got, err := s.Choose(t.Context(),
		keys.Query{Login: "jim", Domain: "example.com"}); err != nil || len(got) > 0 {
		t.Errorf("nobody signs: %v, %+v", err, got)
	}
	if _, err := s.Choose(t.Context(), keys.Query{Domain: "page.example"}); err == nil {
		t.Error("a page of the server's was taken for an answer")
	}
	if _, err := s.Key(t.Context(), "k"); !errors.Is(err, errTemplateKey) {
		t.Errorf("a key by its name: %v", err)
	}
	if says, err := s.Check(t.Context()); err != nil || !strings.Contains(says, "for signing") {
		t.Errorf("check: %s, %v", says, err)
	}
}

func TestTemplateRefused(t *testing.T) {
	for _, text := range []string{"https://$2/x", "https://joe:$1@p.example/x",
		"https://p.example/#$1"} {
		if _, err := New(Options{Name: "api", URL: text}); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
}
