package miltertest

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"time"

	"mailseal/milter/guard"
)

// Options say what is played. The zero value is a Postfix to which a client connects from
// 127.0.0.1.
type Options struct {
	As     MTA
	Client netip.Addr // the SMTP client; 127.0.0.1
	// its verified name; "localhost" for loopback, else "unknown", with Sendmail the address in
	// brackets
	ClientName string
	Port       uint16 // its port; 54321
	Helo       string // what it says in EHLO; "client.example.com"
	Local      bool   // the message does not come by SMTP: sendmail(1)
	Hostname   string // the MTA's own name; "mx.example.com"
	// Macros have these values instead of the MTA's: "j", "{auth_type}". Others than the MTA knows
	// are sent at CONNECT and MAIL, as when its configuration lists them there, unless the milter
	// sets those lists.
	Macros  map[string]string
	Offer   guard.Offer      // what the MTA can do; everything
	Timeout time.Duration    // for each answer; 5 min, Postfix's milter_content_timeout
	Now     func() time.Time // for Received and Date; time.Now
}

// everything is what both MTAs offer.
var everything = guard.Offer{Version: guard.Version, Actions: 0x1ff, Protocol: 0x1fffff}

func (o Options) filled() Options {
	if !o.Client.IsValid() {
		o.Client = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if o.Local {
		o.Client, o.Port, o.Helo = netip.AddrFrom4([4]byte{127, 0, 0, 1}), 0, "localhost"
	} else if o.Port == 0 {
		o.Port = 54321
	}
	setDefault(&o.ClientName, o.defaultName())
	setDefault(&o.Helo, "client.example.com")
	setDefault(&o.Hostname, "mx.example.com")
	setDefault(&o.Timeout, 5*time.Minute)
	setDefault(&o.Offer, everything)
	if o.Now == nil {
		o.Now = time.Now
	}
	return o
}

func setDefault[T comparable](p *T, def T) {
	var zero T
	if *p == zero {
		*p = def
	}
}

func (o Options) defaultName() string {
	switch {
	case o.Client.IsLoopback() || o.Local:
		return "localhost"
	case o.As == Sendmail:
		return "[" + o.writtenAddr() + "]"
	}
	return "unknown"
}

// writtenAddr is the client's address as the MTA writes it in CONNECT.
func (o Options) writtenAddr() string {
	if o.As == Sendmail && o.Client.Is6() {
		return "IPv6:" + o.Client.String()
	}
	return o.Client.String()
}

// Conn is a milter connection: one SMTP session. It is for one goroutine.
type Conn struct {
	framer  *guard.Framer
	options Options
	agreed  guard.Agreement
	scratch []byte

	mail    *transaction // nil between messages
	session *decision    // the milter's last word on the whole session
	queued  int          // messages so far
	last    *content     // of the last message
}

// decision is a verdict at a stage.
type decision struct {
	stage Stage
	reply Reply
}

// Dial connects to a milter at unix:/path, local:/path, inet:port@host or inet:host:port and shows
// it a client, up to its EHLO.
func Dial(ctx context.Context, address string, o Options) (*Conn, error) {
	nc, err := dial(ctx, address)
	if err != nil {
		return nil, err
	}
	c, err := New(nc, o)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", address, err)
	}
	return c, nil
}

// New is Dial on a connection that is open. It is closed when an error is returned.
func New(nc net.Conn, o Options) (*Conn, error) {
	o = o.filled()
	limits := guard.Limits{Handshake: o.Timeout, Idle: o.Timeout, InPacket: o.Timeout,
		Write: o.Timeout}
	c := &Conn{framer: guard.NewFramer(nc, limits), options: o}
	if err := c.greet(); err != nil {
		nc.Close()
		return nil, err
	}
	return c, nil
}

func (c *Conn) greet() error {
	if err := c.negotiate(); err != nil {
		return err
	}
	r, err := c.event(guard.NoConnect, guard.Connect, c.client())
	if err != nil || c.decides(AtConnect, r) {
		return err
	}
	return c.Hello(c.options.Helo)
}

// negotiate offers and takes the milter's wishes as the MTA does.
func (c *Conn) negotiate() error {
	offer := c.options.Offer
	mine := guard.Agreement{Version: offer.Version, Actions: offer.Actions,
		Protocol: offer.Protocol}
	if err := c.framer.WritePacket(guard.Negotiate, mine.Data()); err != nil {
		return err
	}
	p, err := c.framer.ReadPacket()
	if err != nil {
		return err
	}
	if p.Code != guard.Negotiate {
		return fmt.Errorf("%w: OPTNEG was answered with %v", ErrFilter, p.Code)
	}
	if c.agreed, err = guard.ParseAgreement(p.Data); err != nil {
		return fmt.Errorf("%w: %w", ErrFilter, err)
	}
	return c.acceptAgreement()
}

// acceptAgreement reports whether the MTA bears with what the milter wants.
func (c *Conn) acceptAgreement() error {
	if more := c.agreed.Actions &^ c.options.Offer.Actions; more != 0 {
		return fmt.Errorf("%w: it wants the actions %#x, which were not offered", ErrFilter,
			uint32(more))
	}
	if c.options.As != Sendmail {
		return nil
	}
	if more := c.agreed.Protocol &^ c.options.Offer.Protocol; more != 0 {
		return fmt.Errorf("%w: it wants the protocol bits %#x, which were not offered", ErrFilter,
			uint32(more))
	}
	for stage, names := range c.agreed.Macros {
		if len(names) > maxMacros {
			return fmt.Errorf("%w: it wants %d macros at stage %d; %d are allowed", ErrFilter,
				len(names), stage, maxMacros)
		}
	}
	return nil
}

// client returns the data of CONNECT.
func (c *Conn) client() []byte {
	o := c.options
	data := append([]byte(o.ClientName), 0)
	if o.Local && o.As == Sendmail {
		return append(data, byte(guard.FamilyUnknown))
	}
	family := guard.FamilyInet
	if o.Client.Is6() {
		family = guard.FamilyInet6
	}
	data = binary.BigEndian.AppendUint16(append(data, byte(family)), o.Port)
	return append(append(data, o.writtenAddr()...), 0)
}

// Agreement returns what the milter asked for.
func (c *Conn) Agreement() guard.Agreement { return c.agreed }

// Hello sends EHLO again, as after STARTTLS. In the middle of a message it ends the message:
// Sendmail tells the milter before HELO, Postfix after it.
func (c *Conn) Hello(name string) error {
	inMail := c.mail != nil
	if inMail && c.options.As == Sendmail {
		if err := c.Reset(); err != nil {
			return err
		}
	}
	r, err := c.event(guard.NoHelo, guard.Helo, append([]byte(name), 0))
	if err != nil {
		return err
	}
	c.decides(AtHelo, r)
	if inMail && c.options.As == Postfix {
		return c.Reset()
	}
	return nil
}

// decides notes a verdict on the whole session.
func (c *Conn) decides(stage Stage, r Reply) bool {
	if r.Verdict == guard.Continue {
		return false
	}
	c.session = &decision{stage, r}
	return true
}

// Reset sends RSET. Sendmail tells the milter only if a message has begun, Postfix always.
func (c *Conn) Reset() error {
	if c.mail == nil && c.options.As == Sendmail {
		return nil
	}
	c.mail = nil
	return c.framer.WritePacket(guard.Abort)
}

// Unknown sends a command that the MTA does not know.
func (c *Conn) Unknown(line string) (Reply, error) {
	if c.agreed.Has(guard.NoUnknown) || c.agreed.Version < 3 {
		return Reply{Verdict: guard.Continue}, nil
	}
	return c.command(guard.Unknown, append([]byte(line), 0))
}

// event is command, unless the milter has declined it by a bit. Its macros are sent all the same,
// by both MTAs.
func (c *Conn) event(declined guard.Protocol, code guard.Code, data ...[]byte) (Reply, error) {
	if c.agreed.Has(declined) {
		return Reply{Verdict: guard.Continue}, c.sendMacros(code)
	}
	return c.command(code, data...)
}

// command sends a command with its macros and reads the answer, if there is one.
func (c *Conn) command(code guard.Code, data ...[]byte) (Reply, error) {
	if err := c.sendMacros(code); err != nil {
		return Reply{}, err
	}
	if err := c.framer.WritePacket(code, data...); err != nil {
		return Reply{}, err
	}
	if !c.agreed.Answers(code) {
		return Reply{Verdict: guard.Continue}, nil
	}
	p, err := c.framer.ReadPacket()
	if err != nil {
		return Reply{}, fmt.Errorf("the answer to %v: %w", code, err)
	}
	return c.verdict(code, p)
}

// Quit ends the session and waits until the milter has closed the connection. The error is an
// ErrFilter when something came unasked.
func (c *Conn) Quit() error {
	defer c.framer.Close()
	if c.options.As == Postfix {
		if err := c.Reset(); err != nil {
			return err
		}
	}
	if err := c.framer.WritePacket(guard.Quit); err != nil {
		return err
	}
	return c.silence()
}

// silence waits for the end of the connection.
func (c *Conn) silence() error {
	p, err := c.framer.ReadPacket()
	if err == nil {
		return fmt.Errorf("%w: at the end it sent %v, which was not asked for", ErrFilter, p.Code)
	}
	return nil
}

// Drop ends the session as when the client is gone in the middle of a message: Postfix says so,
// Sendmail just closes.
func (c *Conn) Drop() error {
	if c.options.As == Sendmail {
		return c.Close()
	}
	if err := c.Reset(); err != nil {
		return err
	}
	return c.Quit()
}

// Close closes the connection without a word.
func (c *Conn) Close() error { return c.framer.Close() }
