package web

import (
	"html/template"
	"net/http"
)

// Stylesheet is that of all pages of Mailseal.
func Stylesheet() []byte {
	text, _ := files.ReadFile("style.css") // it is embedded
	return text
}

// SetHeaders sets the headers that keep a page from fetching anything, from being framed, stored or
// found by search engines.
func SetHeaders(h http.Header) {
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("X-Robots-Tag", "noindex")
}

// Name returns a stranger's name, address or word as HTML: isolated, long labels cut, control and
// direction characters shown by their numbers.
func Name(s string) template.HTML { return name(s) }

// Text returns a stranger's text, likewise, whose length is bounded elsewhere.
func Text(s string) template.HTML {
	return `<span class="name">` + prose(s) + `</span>`
}

// Visible returns a stranger's text for the title of a page.
func Visible(s string) string { return visible(s) }
