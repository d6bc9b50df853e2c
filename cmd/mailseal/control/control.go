// Package control lets commands communicate with the daemon: over a unix socket, one request and
// one answer for each connection, each a JSON object on a line. Only root and the daemon's own user
// get an answer.
//
// The mode of the socket keeps other users out. In addition, the user of each connection is checked
// with the kernel, since the directory may be open to more users than intended. Everything is
// bounded, so that a client can hold up no more than other clients.
package control

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// Version is that of requests and answers. A daemon refuses a request of another version: the
// commands and the daemon are one program, and differ only between an upgrade and a restart.
const Version = 1

// What a line may have, in bytes with its end.
const (
	maxRequest = 4 << 10
	maxAnswer  = 1 << 20
)

// Command is the command of a request.
type Command string

// The commands.
const (
	Reload Command = "reload" // read the configuration and the keys again
	Status Command = "status" // say how the daemon is
	Test   Command = "test"   // expect a test message, to a recipient that the answer names
	Signed Command = "signed" // list the domains that signed mail, a page at a time
)

// Request is a client's request.
type Request struct {
	Version int     `json:"version"`
	Command Command `json:"command"`
	Accept  bool    `json:"accept,omitempty"` // Reload: even if domains lose their signatures
	After   string  `json:"after,omitempty"`  // Signed: only names behind this one
	// Reload: the absolute path of the configuration file that is meant; "" for any
	Config string `json:"config,omitempty"`
}

// Answer is the daemon's reply.
type Answer struct {
	Version  int      `json:"version"`
	Error    string   `json:"error,omitempty"`    // why it did not do what was asked for
	Warnings []string `json:"warnings,omitempty"` // Reload: what took effect nevertheless
	Running  *Running `json:"running,omitempty"`  // Status
	Page     *Page    `json:"page,omitempty"`     // Signed

	Recipient string `json:"recipient,omitempty"` // Test
}

// Page is a part of the list of domains that signed mail lately and that the daemon has a rule and
// a key for, by name.
type Page struct {
	Names []Name `json:"names"`
	More  bool   `json:"more,omitempty"` // there are others behind the last
}

// Name is a domain, as what it signed.
type Name struct {
	Name   string `json:"name"`
	Author bool   `json:"author,omitempty"` // of From
	Signer bool   `json:"signer,omitempty"` // the d= tag
}

// ErrMalformed means that the received data is not a request, or not an answer.
var ErrMalformed = errors.New("malformed request")

// parseRequest reads a line.
func parseRequest(line []byte) (Request, error) {
	var out Request
	if err := parse(line, &out); err != nil {
		return Request{}, err
	}
	switch {
	case out.Version != Version:
		return Request{}, fmt.Errorf("%w: version %d; this daemon speaks version %d", ErrMalformed,
			out.Version, Version)
	case out.Command != Reload && out.Command != Status && out.Command != Test &&
		out.Command != Signed:
		return Request{}, fmt.Errorf("%w: no command %q", ErrMalformed, out.Command)
	}
	return out, nil
}

// parseAnswer reads a line. Fields that it does not know are those of a later daemon.
func parseAnswer(line []byte) (Answer, error) {
	var out Answer
	if err := json.Unmarshal(line, &out); err != nil {
		return Answer{}, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return out, nil
}

// parse reads one JSON object, and nothing else: what is not understood may have been meant to
// change the rest.
func parse(line []byte, to any) error {
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	if err := d.Decode(to); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if rest := bytes.TrimSpace(line[d.InputOffset():]); len(rest) > 0 {
		return fmt.Errorf("%w: more than one object", ErrMalformed)
	}
	return nil
}

// marshal makes a line.
func marshal(v any) ([]byte, error) {
	text, err := json.Marshal(v)
	return append(text, '\n'), err
}
