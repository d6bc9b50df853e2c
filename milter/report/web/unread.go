package web

import (
	"bytes"
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"mailseal/milter/report/advice"
)

func unreadURL(id int64) string { return "/ingest/mail/" + itoa(id) }

// unreadPage shows a mail in which something could not be read, as it came. It may be a letter that
// someone wrote by mistake, so that administrators alone see it.
func (s *Server) unreadPage(ctx context.Context, v visit) (*page, error) {
	if !v.admin() {
		return nil, ErrNotFound
	}
	f, data, err := s.read.Unread(ctx, v.id())
	if err != nil {
		return nil, err
	}
	p := &page{Current: "/ingest", Title: "Mail " + itoa(f.ID) + " not read", Filter: v.filter,
		Crumbs:  []crumb{{"Reports in", "/ingest"}, {say("mail %s", plain(itoa(f.ID))), ""}},
		Heading: say("Something in this mail of %s could not be read.", timeHTML(f.At))}
	for line := range strings.SplitSeq(f.Why, "\n") {
		p.Lead = append(p.Lead, prose(line))
	}
	p.Facts = []fact{{Label: "Kind", Value: name(f.Code)}, {Label: "Came by", Value: name(f.Via)},
		{Label: "From", Value: name(f.From)}, {Label: "Name", Value: name(f.Subject)},
		{Label: "Bytes", Value: plain(advice.Count(f.Length))}}
	if f.From == "" {
		p.Facts[2].Value = "not authenticated"
	}
	todo := section{ID: "todo", Title: "What to do", Text: []template.HTML{
		"Read it again after an upgrade to a version that can read more. Delete it if it is of no " +
			"use; it is deleted by itself after reports.intake.raw_days."}}
	if f.Reports > 0 {
		todo.Text = append(todo.Text, say("%s read from it. What was read stays and counts if you "+
			"delete the mail.", plain(advice.Plural(f.Reports, "report was", "reports were"))))
	}
	commands, instead := s.changes(ctx, v)
	todo.Text = append(todo.Text, instead...)
	if commands != nil {
		todo.Unread = &unreadForm{Action: unreadURL(f.ID), Held: f.Held}
	}
	p.Sections = []section{todo, unreadRaw(f, data)}
	return p, nil
}

func unreadRaw(f Failure, data []byte) section {
	out := section{ID: "raw", Title: "As it came", RawLabel: "The mail as it came"}
	if !f.Held {
		out.Text = []template.HTML{"It is not kept any more (reports.intake.raw_days)."}
		return out
	}
	out.Text = []template.HTML{link(unreadURL(f.ID)+"/raw", "Download it")}
	if isBinary(data) {
		out.Text = append(out.Text, "It is not text, so it is not shown here.")
		return out
	}
	out.Raw = rawXML(data)
	return out
}

// isBinary reports whether data is a file of a program, such as a zip file, and no text.
func isBinary(data []byte) bool {
	head := data[:min(len(data), 1024)]
	return bytes.IndexByte(head, 0) >= 0 && !bytes.HasPrefix(head, []byte("\xff\xfe")) &&
		!bytes.HasPrefix(head, []byte("\xfe\xff")) || bytes.HasPrefix(head, []byte("\x1f\x8b")) ||
		bytes.HasPrefix(head, []byte("PK\x03\x04")) && !utf8.Valid(head)
}

// unreadFile answers with such a mail as it came.
func (s *Server) unreadFile(w http.ResponseWriter, r *http.Request) {
	who, ok := s.signedIn(w, r)
	if !ok {
		return
	}
	v := s.visitOf(r, who)
	if !who.admin() || !who.all() {
		s.fail(w, r, who, ErrNotFound)
		return
	}
	f, data, err := s.read.Unread(r.Context(), v.id())
	if err == nil && !f.Held {
		err = ErrNotFound
	}
	if err != nil {
		s.fail(w, r, who, err)
		return
	}
	name := "mail-" + itoa(f.ID) + ".eml"
	if f.Via == "import" || f.Via == "upload" {
		name = "file-" + itoa(f.ID) + ".bin"
	}
	download(w, name, data)
}

// changeIntake makes a change of the pages of reports that come in; ok is false if the form asks
// for none of these.
func (s *Server) changeIntake(ctx context.Context, r *http.Request, who session) (text string,
	ok bool, err error) {
	value := func(field string) string {
		v, err := url.QueryUnescape(r.FormValue(field))
		if err != nil {
			return ""
		}
		return v
	}
	if kind := value("rereadkind"); kind != "" {
		text, err = s.commands.Reread(ctx, who.name, 0, kind)
		return text, true, err
	}
	number := r.PathValue("id")
	if number == "" {
		number = value("reread")
	}
	id, bad := strconv.ParseInt(number, 10, 64)
	switch {
	case number == "":
		return "", false, nil
	case bad != nil || id <= 0:
		return "", true, fmt.Errorf("%w: no such mail", errRefused)
	case r.FormValue("discard") == "":
		text, err = s.commands.Reread(ctx, who.name, id, "")
	case r.FormValue("confirm") != "yes":
		return "", true, fmt.Errorf("%w: tick the box to delete the mail for good", errRefused)
	default:
		text, err = s.commands.Discard(ctx, who.name, id)
	}
	return text, true, err
}

// changeOutgoing makes a change of the page of reports that go out.
func (s *Server) changeOutgoing(ctx context.Context, r *http.Request, who session) (string,
	error) {
	if id := r.FormValue("resend"); id != "" {
		return "The report is queued for each of its addresses that did not get it, and sent " +
				"within the hour. An address that is suppressed gets it only after it is released.",
			s.commands.Resend(ctx, who.name, id)
	}
	if address, err := url.QueryUnescape(r.FormValue("release")); err == nil && address != "" {
		return address + " gets reports again.", s.commands.Release(ctx, who.name, address)
	}
	address := strings.TrimSpace(r.FormValue("suppress"))
	if address == "" {
		return "", fmt.Errorf("%w: it asks for no change", errRefused)
	}
	until, err := time.Parse(time.DateOnly, r.FormValue("until"))
	if err != nil {
		return "", fmt.Errorf("%w: choose the day until which the address gets no reports",
			errRefused)
	}
	return "No report goes to " + address + " until " + until.Format(time.DateOnly) + ".",
		s.commands.Suppress(ctx, who.name, Suppression{Address: address, Until: until,
			Why: strings.TrimSpace(r.FormValue("reason"))})
}
