package milter

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
)

// profile is what an MTA does in its own way.
type profile struct {
	name      string
	v         string
	actions   guard.Action
	protocol  guard.Protocol
	aborts    bool // it sends ABORT after each message
	renumbers bool // a removed field no longer counts for the next edit
	lateID    bool // the queue id is not known at MAIL
}

const (
	everyAction   = guard.Action(0x1ff)
	everyProtocol = guard.Protocol(0x1fffff)
)

var (
	postfix  = profile{"Postfix", "Postfix 3.7.11", everyAction, everyProtocol, true, true, true}
	sendmail = profile{"Sendmail", "8.17.1.9/8.17.1.9/Debian-2+deb12u2", everyAction, everyProtocol, false, false, false}
	oldMTA   = profile{"an old one", "", everyAction & 0x3f, 0x7f, false, false, false} // no v6: replies to everything, no leading space
)

// mta plays an MTA.
type mta struct {
	t  testing.TB
	nc net.Conn
	*guard.Framer
	profile
	agreedProtocol guard.Protocol
}

// dial connects and negotiates.
func (r *rig) dial(p profile) *mta {
	r.t.Helper()
	nc, err := net.Dial("unix", r.path)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { nc.Close() })
	m := &mta{t: r.t, nc: nc, Framer: guard.NewFramer(nc, guard.Limits{Idle: 20 * time.Second, Handshake: 20 * time.Second}), profile: p}
	version := uint32(6)
	if p.protocol&guard.LeadingSpace == 0 {
		version = 2
	}
	offer := binary.BigEndian.AppendUint32(nil, version)
	offer = binary.BigEndian.AppendUint32(offer, uint32(p.actions))
	offer = binary.BigEndian.AppendUint32(offer, uint32(p.protocol))
	m.write(guard.Negotiate, offer)
	answer := m.read(guard.Negotiate)
	m.agreedProtocol = guard.Protocol(binary.BigEndian.Uint32(answer[8:]))
	return m
}

func (m *mta) write(code guard.Code, data ...[]byte) {
	m.t.Helper()
	if err := m.WritePacket(code, data...); err != nil {
		m.t.Fatalf("%v: %v", code, err)
	}
}

// read returns the data of the next packet, which must be of the code.
func (m *mta) read(code guard.Code) []byte {
	m.t.Helper()
	p, err := m.ReadPacket()
	if err != nil || p.Code != code {
		m.t.Fatalf("got %v %q, %v, want %v", p.Code, p.Data, err, code)
	}
	return bytes.Clone(p.Data)
}

// macros sends macros for a command.
func (m *mta) macros(command guard.Code, pairs map[string]string) {
	data := []byte{byte(command)}
	for _, name := range slices.Sorted(maps.Keys(pairs)) {
		if pairs[name] != "" {
			data = append(append(append(append(data, name...), 0), pairs[name]...), 0)
		}
	}
	m.write(guard.Macro, data)
}

// ask sends a command and returns what it is answered.
func (m *mta) ask(code guard.Code, data string) guard.Packet {
	m.t.Helper()
	m.write(code, []byte(data))
	p, err := m.ReadPacket()
	if err != nil {
		m.t.Fatalf("%v was not answered: %v", code, err)
	}
	return guard.Packet{Code: p.Code, Data: bytes.Clone(p.Data)}
}

// tell sends a command that is to be answered with "continue", unless it has no answer.
func (m *mta) tell(code guard.Code, data string) {
	m.t.Helper()
	silent := map[guard.Code]guard.Protocol{guard.Header: guard.NoReplyHeader, guard.EndOfHeader: guard.NoReplyEOH, guard.Body: guard.NoReplyBody}
	if bit, ok := silent[code]; ok && m.agreedProtocol&bit != 0 {
		m.write(code, []byte(data))
		return
	}
	if p := m.ask(code, data); p.Code != guard.Continue {
		m.t.Fatalf("%v was answered with %v %q", code, p.Code, p.Data)
	}
}

// client is the data of CONNECT.
func client(host string, family byte, port uint16, addr string) string {
	data := append([]byte(host), 0, family)
	if family == 'U' {
		return string(data)
	}
	return string(binary.BigEndian.AppendUint16(data, port)) + addr + "\x00"
}

var stranger = client("mail.example.net", '4', 40000, "198.51.100.1")

// hello sends CONNECT and HELO.
func (m *mta) hello(client, daemon string) {
	m.t.Helper()
	m.macros(guard.Connect, map[string]string{"j": "mx.example.com", "v": m.v, "{daemon_name}": daemon})
	m.tell(guard.Connect, client)
	m.macros(guard.Helo, nil)
	m.tell(guard.Helo, "client.example.net\x00")
}

// mail is a message as an MTA has it.
type mail struct {
	id     string
	user   string
	from   string // with or without angle brackets
	rcpts  []string
	fields []string // "Name: value", folds with LF
	body   string
}

func letter(id string) mail {
	return mail{
		id: id, from: "<a@example.net>", rcpts: []string{"<b@example.com>"},
		fields: []string{"From: a@example.net", "To: b@example.com", "Subject: " + id}, body: "Hello.\r\n",
	}
}

// result is what became of a message.
type result struct {
	code   guard.Code
	early  bool // the verdict came before the end of the message
	reply  string
	hold   string
	edits  []string
	fields []string // as the MTA keeps them
}

// deliver sends a whole message.
func (m *mta) deliver(x mail) result {
	m.t.Helper()
	m.envelope(x)
	m.content(x)
	r := m.end(x)
	if m.aborts {
		m.write(guard.Abort)
	}
	return r
}

func (m *mta) envelope(x mail) {
	m.t.Helper()
	early := x.id
	if m.lateID {
		early = ""
	}
	auth := ""
	if x.user != "" {
		auth = "PLAIN"
	}
	m.macros(guard.Mail, map[string]string{"i": early, "{auth_type}": auth, "{auth_authen}": x.user})
	m.tell(guard.Mail, x.from+"\x00SIZE=1000\x00")
	for _, rcpt := range x.rcpts {
		m.macros(guard.Rcpt, map[string]string{"{rcpt_addr}": strings.Trim(rcpt, "<>")})
		m.tell(guard.Rcpt, rcpt+"\x00")
	}
}

func (m *mta) content(x mail) {
	m.t.Helper()
	m.header(x)
	m.tell(guard.EndOfHeader, "")
	for p := range chunks(x.body, 65535) {
		m.tell(guard.Body, string(p))
	}
}

func (m *mta) header(x mail) {
	m.t.Helper()
	for _, f := range x.fields {
		name, value, _ := strings.Cut(f, ":")
		if m.agreedProtocol&guard.LeadingSpace == 0 {
			value = strings.TrimPrefix(value, " ")
		}
		if m.aborts {
			m.macros(guard.Header, map[string]string{"i": x.id}) // as Postfix does before each
		}
		m.tell(guard.Header, name+"\x00"+value+"\x00")
	}
}

// end sends the end of a message and takes edits and verdict.
func (m *mta) end(x mail) result {
	m.t.Helper()
	m.macros(guard.EndOfBody, map[string]string{"i": x.id, "{daemon_name}": "main.cf"})
	m.write(guard.EndOfBody)
	r := result{fields: slices.Clone(x.fields)}
	for {
		p, err := m.ReadPacket()
		if err != nil {
			m.t.Fatalf("no verdict: %v", err)
		}
		switch p.Code {
		case guard.Progress:
		case guard.ChangeHeader, guard.InsertHeader:
			m.edit(&r, p)
		case guard.QuarantineMail:
			r.hold = strings.TrimSuffix(string(p.Data), "\x00")
		default:
			r.code, r.reply = p.Code, strings.TrimSuffix(string(p.Data), "\x00")
			r.fields = slices.DeleteFunc(r.fields, func(f string) bool { return strings.HasPrefix(f, removed) })
			return r
		}
	}
}

// removed stands before a field that Sendmail has removed, which goes on counting.
const removed = "\x00"

// edit changes the header as the MTA would.
func (m *mta) edit(r *result, p guard.Packet) {
	m.t.Helper()
	index := int(binary.BigEndian.Uint32(p.Data))
	name, value, _ := strings.Cut(strings.TrimSuffix(string(p.Data[4:]), "\x00"), "\x00")
	r.edits = append(r.edits, fmt.Sprintf("%c %d %s", p.Code, index, name))
	if m.agreedProtocol&guard.LeadingSpace == 0 && value != "" {
		value = " " + value
	}
	if p.Code == guard.InsertHeader {
		if index != 0 {
			m.t.Fatalf("an insertion at %d means different things to MTAs", index)
		}
		r.fields = slices.Insert(r.fields, 0, name+":"+value)
		return
	}
	if value != "" {
		m.t.Fatalf("%s %d is changed to %q", name, index, value)
	}
	m.remove(r, index, name)
}

func (m *mta) remove(r *result, index int, name string) {
	seen := 0
	for i, f := range r.fields {
		have, _, _ := strings.Cut(f, ":")
		have, gone := strings.CutPrefix(have, removed)
		if !strings.EqualFold(have, name) {
			continue
		}
		if seen++; seen != index || gone {
			continue
		}
		if m.renumbers {
			r.fields = slices.Delete(r.fields, i, i+1)
		} else {
			r.fields[i] = removed + f
		}
		return
	}
}

// wantClosed wants the server to have closed the connection without another word.
func (m *mta) wantClosed() {
	m.t.Helper()
	if p, err := m.ReadPacket(); err == nil {
		m.t.Errorf("got %v %q, want the end of the connection", p.Code, p.Data)
	}
}
