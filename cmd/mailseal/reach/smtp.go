package reach

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/smtp"
	"time"
)

// Exchange is the TLS state of an MX host.
type Exchange struct {
	Offers bool                // STARTTLS is among its extensions
	Chain  []*x509.Certificate // that it shows, its own first; none when TLS was not reached
	Failed error               // why STARTTLS did not lead to TLS, though it is offered

	Name      error // why the certificate is not for the host's name; nil when it is
	Untrusted error // why no authority of this host vouches for it; nil when one does
	Roots     error // why nothing can be said of authorities: this host knows none
}

// Expires is when the host's certificate ends.
func (e Exchange) Expires() time.Time {
	if len(e.Chain) == 0 {
		return time.Time{}
	}
	return e.Chain[0].NotAfter
}

// Exchange asks an MX host on port 25 for STARTTLS, and looks at its certificates. Nothing is
// mailed. The error says why the host was not reached.
func (g *Guard) Exchange(ctx context.Context, host string) (Exchange, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := g.dial(ctx, host, 25)
	if err != nil {
		return Exchange{}, err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Now()) })
	defer stop()
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return Exchange{}, fmt.Errorf("%s does not greet: %w", host, err)
	}
	defer c.Close()
	if err := c.Hello(g.helloName()); err != nil {
		return Exchange{}, fmt.Errorf("%s does not accept EHLO: %w", host, err)
	}
	var out Exchange
	if out.Offers, _ = c.Extension("STARTTLS"); !out.Offers {
		_ = c.Quit() // it has answered
		return out, nil
	}
	// Whatever certificate comes is taken: what is wrong with it is what is asked here.
	out.Failed = c.StartTLS(&tls.Config{ServerName: host, InsecureSkipVerify: true,
		MinVersion: tls.VersionTLS10})
	state, isTLS := c.TLSConnectionState()
	if out.Failed != nil || !isTLS || len(state.PeerCertificates) == 0 {
		if out.Failed == nil {
			out.Failed = errors.New("the host presents no certificate")
		}
		return out, nil
	}
	_ = c.Quit() // it has answered
	out.Chain = state.PeerCertificates
	g.judge(&out, host)
	return out, nil
}

// judge finds out whether the chain is for a name, and who vouches for it.
func (g *Guard) judge(e *Exchange, host string) {
	e.Name = e.Chain[0].VerifyHostname(host)
	others := x509.NewCertPool()
	for _, c := range e.Chain[1:] {
		others.AddCert(c)
	}
	// When the certificate ends is asked apart: an authority that vouched for it is a trusted one.
	at := g.Time()
	if end := e.Chain[0].NotAfter; at.After(end) {
		at = end
	}
	_, err := e.Chain[0].Verify(x509.VerifyOptions{Roots: g.roots, Intermediates: others,
		CurrentTime: at})
	var none x509.SystemRootsError
	if errors.As(err, &none) {
		e.Roots = err
		return
	}
	e.Untrusted = err
}
