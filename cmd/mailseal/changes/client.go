package changes

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"

	"mailseal/milter/report/web"
)

// Client sends changes to the role intake. It implements web.Commands.
type Client struct {
	Path string // of the socket
	http http.Client
}

var _ web.Commands = (*Client)(nil)

// NewClient makes a client of the socket at a path. It need not exist yet.
func NewClient(path string) *Client {
	c := &Client{Path: path}
	c.http.Transport = &http.Transport{
		DisableKeepAlives: true, // an intake that restarts leaves no dead connection behind
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			nc, err := new(net.Dialer).DialContext(ctx, "unix", path)
			if err != nil {
				return nil, fmt.Errorf("%w: %w", web.ErrAway, err)
			}
			return nc, nil
		},
	}
	return c
}

// readyWithin is how long a page waits to know whether changes can be made.
const readyWithin = time.Second

// Ready implements web.Commands.
func (c *Client) Ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyWithin)
	defer cancel()
	_, err := c.post(ctx, pathReady, nil)
	return err
}

// Judge implements web.Commands.
func (c *Client) Judge(ctx context.Context, by string, r web.Rule) error {
	out := change{By: by, Domain: r.Domain, Subject: r.Source, Class: string(r.Class)}
	_, notAddress := netip.ParseAddr(r.Source)
	if _, err := netip.ParsePrefix(r.Source); err != nil && notAddress != nil {
		out.Addresses = r.Addresses[:min(len(r.Addresses), maxSources)]
	}
	return c.send(ctx, pathJudge, out)
}

// Undo implements web.Commands.
func (c *Client) Undo(ctx context.Context, by string, rule int64) error {
	return c.send(ctx, pathUndo, change{By: by, Rule: rule})
}

// Use implements web.Commands.
func (c *Client) Use(ctx context.Context, by, domain, word string) error {
	return c.send(ctx, pathUse, change{By: by, Domain: domain, Class: word})
}

// Trust implements web.Commands.
func (c *Client) Trust(ctx context.Context, by, org string) error {
	return c.send(ctx, pathAccept, change{By: by, Reporter: org})
}

// Refuse implements web.Commands.
func (c *Client) Refuse(ctx context.Context, by, org string) error {
	return c.send(ctx, pathRefuse, change{By: by, Reporter: org})
}

// Prove implements web.Commands.
func (c *Client) Prove(ctx context.Context, by, org string) error {
	return c.send(ctx, pathProve, change{By: by, Reporter: org})
}

// Upload implements web.Commands.
func (c *Client) Upload(ctx context.Context, by, name string, body io.Reader) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, longestUpload)
	defer cancel()
	return c.post(ctx, pathUpload+"?"+url.Values{"by": {by}, "name": {cut(name)}}.Encode(), body)
}

// Reread implements web.Commands.
func (c *Client) Reread(ctx context.Context, by string, mail int64, kind string) (string, error) {
	return c.ask(ctx, pathReread, change{By: by, Mail: mail, Kind: kind})
}

// Discard implements web.Commands.
func (c *Client) Discard(ctx context.Context, by string, mail int64) (string, error) {
	return c.ask(ctx, pathDiscard, change{By: by, Mail: mail})
}

// Suppress implements web.Commands.
func (c *Client) Suppress(ctx context.Context, by string, x web.Suppression) error {
	return c.send(ctx, pathSuppress, change{By: by, Address: x.Address, Until: x.Until,
		Reason: x.Why})
}

// Release implements web.Commands.
func (c *Client) Release(ctx context.Context, by, address string) error {
	return c.send(ctx, pathRelease, change{By: by, Address: address})
}

// Resend implements web.Commands.
func (c *Client) Resend(ctx context.Context, by, report string) error {
	return c.send(ctx, pathResend, change{By: by, Report: report})
}

// cut shortens the name of a file, and makes it text.
func cut(name string) string {
	return strings.ToValidUTF8(strings.Map(func(r rune) rune {
		if r < ' ' {
			return '?'
		}
		return r
	}, name[:min(len(name), maxWords)]), "")
}

func (c *Client) send(ctx context.Context, path string, what change) error {
	_, err := c.ask(ctx, path, what)
	return err
}

// ask sends a change and returns the sentence of the answer.
func (c *Client) ask(ctx context.Context, path string, what change) (string, error) {
	text, err := json.Marshal(what)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return c.post(ctx, path, bytes.NewReader(text))
}

// post sends a change. An error that wraps web.ErrAway means that nothing was changed, since no
// process answers; web.ErrRefused that the change was refused, with the reason; any other that the
// answer did not come, and the change may have been made.
func (c *Client) post(ctx context.Context, path string, body io.Reader) (string, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://intake"+path, body)
	if err != nil {
		return "", err
	}
	w, err := c.http.Do(r)
	if err != nil {
		return "", err
	}
	defer w.Body.Close()
	var got reply
	if err := json.NewDecoder(io.LimitReader(w.Body, maxAnswer)).Decode(&got); err != nil {
		return "", fmt.Errorf("the answer of the role intake cannot be read: %w", err)
	}
	if w.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s", web.ErrRefused, got.Error)
	}
	return got.Text, nil
}
