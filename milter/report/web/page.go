package web

import (
	"html/template"
	"net/url"

	"mailseal/milter/report/advice"
)

// page is a page before it is rendered.
type page struct {
	Title    string
	Wide     bool
	Current  string // the entry of the navigation
	Crumbs   []crumb
	Heading  template.HTML
	Lead     []template.HTML
	Facts    []fact
	Sections []section
	Matrix   *matrix
	Path     string // of the page, for its tables
	Query    string
	Said     string // an answer to a form
	Missing  string // a query failed: what is missing
	Periods  []choice
	Shown    []choice
	Groups   []choice
	Filter   Filter
	Frame    frame
	Login    *loginForm
	Check    *checkForm
	Foot     []footPart
}

// frame is the part that all pages share: head, navigation, foot.
type frame struct {
	Host, Version, CSRF, User string
	Admin, Proxy              bool
	Errors                    int
	Last                      template.HTML
	HasIn, HasOut, HasCheck   bool
}

// footPart is a list at the foot of the overview.
type footPart struct {
	ID, Title, URL string
	Rows           []footRow
	Empty          string
}

type footRow struct{ Term, Text template.HTML }

type crumb struct {
	Text template.HTML
	URL  string
}

type fact struct {
	Label string
	Value template.HTML
	Note  template.HTML
	Class string
}

type choice struct {
	Text, URL string
	Current   bool
}

// section is a part of a page with a heading of its own.
type section struct {
	Cols      string // the class of a group of columns that begins with this section …
	End       bool   // … and ends with this one
	ID, Title string
	Text      []template.HTML
	Verdict   template.HTML
	Findings  []finding
	Chart     template.HTML
	Key       []keyEntry
	Marks     []mark
	Ladder    []rung
	Table     *Table
	Also      *Table   // below Table
	Choices   []choice // above Table: which of its rows are shown
	More      *Table   // in details below
	Records   []record
	Raw       template.HTML
	RawLabel  string // of Raw
	Judge     *judgeForm
	WhatIf    *whatIfForm
	Use       *useForm
	SPF       *spfForm
	DMARC     *dmarcForm
	Problem   string          // why there are no Records
	Notes     []template.HTML // below Records
	Upload    bool
	Pager     []choice
	Decide    []decideForm
	Suppress  *suppressForm
	Unread    *unreadForm
	Find      *findForm
}

// findForm limits a list to a source address. Kept are the other parts of its query.
type findForm struct {
	Action, Address string
	Kept            []pair
}

type pair struct{ Name, Value string }

// suppressForm adds an address that gets no reports.
type suppressForm struct{ First, Until string }

// unreadForm is what can be done with a mail that could not be read.
type unreadForm struct {
	Action string
	Held   bool
}

// tables are the tables of a section, nil where there is none.
func (s *section) tables() []*Table { return []*Table{s.Table, s.Also, s.More} }

type finding struct {
	Class, WordClass, Word string
	Title, Text            template.HTML
	Fix, URL               string
}

type keyEntry struct {
	Class, Fill, Text string
	N                 int64
}

type mark struct {
	Letter string
	Text   template.HTML
}

type rung struct {
	Class, Name string
	Now         bool
	Note        template.HTML
}

// record is a text to publish.
type record struct{ Caption, Text string }

type judgeForm struct {
	Action  string
	Source  string
	Classes []classButton
	Text    template.HTML
	Undo    int64
	Network string
	SPF     *acceptForm // nil: none of its mail passes by SPF alone
}

// acceptForm lets a person accept that mail of a source passes by SPF alone.
type acceptForm struct {
	Text template.HTML
	Undo int64 // the verdict that accepts it; 0 for none
}

type classButton struct {
	Value, Text string
	Pressed     bool
}

type whatIfForm struct {
	Action          string
	Days            string
	P, SP, NP, Term []option
	ADKIM, ASPF     bool
	NoSPF           bool
}

type option struct {
	Value, Text string
	Selected    bool
}

type loginForm struct {
	Error, Next, Name, Command string
}

// Addresses of pages. What came in a report stands percent-encoded in them, in the query or as one
// path segment.

func domainURL(d string) string { return "/d/" + url.PathEscape(d) }

func sourceURL(d, s string) string { return domainURL(d) + "/s/" + url.PathEscape(s) }

// query returns the filter as a query, with pairs of names and values on top.
func (f Filter) query(pairs ...string) string {
	q := url.Values{}
	if f.From != 0 {
		q.Set("from", f.From.String())
	}
	if f.To != 0 {
		q.Set("to", f.To.String())
	}
	set := func(name, value string) {
		if value != "" {
			q.Set(name, value)
		}
	}
	if len(f.Domains) == 1 {
		set("domain", f.Domains[0])
	}
	set("receiver", f.Receiver)
	set("header_from", f.HeaderOf)
	set("result", f.Result)
	set("dkim", f.DKIM)
	set("spf", f.SPF)
	set("signer", f.Signer)
	set("selector", f.Selector)
	if f.NoSelector {
		set("noselector", "1")
	}
	set("envelope", f.Envelope)
	set("reason", f.Reason)
	for i := 0; i+1 < len(pairs); i += 2 {
		q.Del(pairs[i])
		set(pairs[i], pairs[i+1])
	}
	return q.Encode()
}

// messages is the address of the list of records that f and the pairs select.
func (f Filter) messages(pairs ...string) string { return "/messages?" + f.query(pairs...) }

func (p *page) finish(path, query string) {
	p.Path, p.Query = path, query
	for i := range p.Sections {
		for _, t := range p.Sections[i].tables() {
			if t != nil {
				t.Path, t.Query = path, query
			}
		}
	}
	if p.Matrix != nil {
		p.Matrix.Table.Path, p.Matrix.Table.Query = path, query
	}
}

// forms gives the tables the secret that their forms carry.
func (p *page) forms(csrf string) {
	for i := range p.Sections {
		for _, t := range []*Table{p.Sections[i].Table, p.Sections[i].More} {
			if t != nil {
				t.CSRF = csrf
			}
		}
	}
}

// table returns the table of the page with a name.
func (p *page) table(name string) *Table {
	if p.Matrix != nil && p.Matrix.Table.Name == name {
		return &p.Matrix.Table
	}
	for i := range p.Sections {
		for _, t := range p.Sections[i].tables() {
			if t != nil && t.Name == name {
				return t
			}
		}
	}
	return nil
}

func period(f Filter, now advice.Day) template.HTML {
	return say("%s to %s", dayHTML(f.From, now), dayHTML(f.To, now))
}
