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
	if _, err := netip.ParseAddr(r.Source); err != nil {
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
	text, err := json.Marshal(what)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	_, err = c.post(ctx, path, bytes.NewReader(text))
	return err
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
		return "", fmt.Errorf("the answer of the intake: %w", err)
	}
	if w.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%w: %s", web.ErrRefused, got.Error)
	}
	return got.Text, nil
}
