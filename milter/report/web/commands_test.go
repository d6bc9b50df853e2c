package web

import (
	"context"
	"io"
)

// fakeCommands accepts everything.
type fakeCommands struct{ got *[]string }

func (f fakeCommands) note(what string) error {
	if f.got != nil {
		*f.got = append(*f.got, what)
	}
	return nil
}

func (f fakeCommands) Ready(context.Context) error { return nil }

func (f fakeCommands) Judge(_ context.Context, by string, r Rule) error {
	return f.note("judge " + by + " " + r.Domain + " " + r.Source + " " + string(r.Class))
}
func (f fakeCommands) Undo(_ context.Context, by string, id int64) error {
	return f.note("undo " + by + " " + itoa(id))
}
func (f fakeCommands) Use(_ context.Context, by, domain, word string) error {
	return f.note("use " + by + " " + domain + " " + word)
}
func (f fakeCommands) Trust(_ context.Context, by, org string) error {
	return f.note("trust " + by + " " + org)
}
func (f fakeCommands) Refuse(_ context.Context, by, org string) error {
	return f.note("refuse " + by + " " + org)
}
func (f fakeCommands) Prove(_ context.Context, by, org string) error {
	return f.note("prove " + by + " " + org)
}
func (f fakeCommands) Upload(_ context.Context, by, name string, body io.Reader) (string, error) {
	text, err := io.ReadAll(body)
	if err != nil {
		return "", err
	}
	return "", f.note("upload " + by + " " + name + " " + string(text))
}
func (f fakeCommands) Reread(_ context.Context, by string, mail int64,
	kind string) (string, error) {
	return "", f.note("reread " + by + " " + itoa(mail) + " " + kind)
}
func (f fakeCommands) Discard(_ context.Context, by string, mail int64) (string, error) {
	return "Deleted.", f.note("discard " + by + " " + itoa(mail))
}
func (f fakeCommands) Suppress(_ context.Context, by string, x Suppression) error {
	return f.note("suppress " + by + " " + x.Address + " " + x.Until.Format("2006-01-02") + " " +
		x.Why)
}
func (f fakeCommands) Release(_ context.Context, by, address string) error {
	return f.note("release " + by + " " + address)
}
func (f fakeCommands) Resend(_ context.Context, by, report string) error {
	return f.note("resend " + by + " " + report)
}
