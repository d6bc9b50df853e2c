package guard

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
)

// Action is a set of things that a filter may do to a message (SMFIF_…).
type Action uint32

// The actions, by the names of libmilter's constants.
const (
	AddHeaders       Action = 1 << 0 // ADDHDRS: add and insert header fields
	ChangeBody       Action = 1 << 1 // CHGBODY
	AddRecipients    Action = 1 << 2 // ADDRCPT
	DeleteRecipients Action = 1 << 3 // DELRCPT
	ChangeHeaders    Action = 1 << 4 // CHGHDRS: change and delete header fields
	Quarantine       Action = 1 << 5 // QUARANTINE
	ChangeFrom       Action = 1 << 6 // CHGFROM
	AddRecipientArgs Action = 1 << 7 // ADDRCPT_PAR
	SetMacros        Action = 1 << 8 // SETSYMLIST
)

// Protocol is a set of things that MTA and filter agree about how they talk (SMFIP_…).
type Protocol uint32

// The protocol's parts, by the names of libmilter's constants.
const (
	NoConnect      Protocol = 1 << 0
	NoHelo         Protocol = 1 << 1
	NoMail         Protocol = 1 << 2
	NoRcpt         Protocol = 1 << 3
	NoBody         Protocol = 1 << 4
	NoHeaders      Protocol = 1 << 5
	NoEOH          Protocol = 1 << 6
	NoReplyHeader  Protocol = 1 << 7  // NR_HDR: header fields are not answered
	NoUnknown      Protocol = 1 << 8  // NOUNKNOWN: unknown SMTP commands are not shown
	NoData         Protocol = 1 << 9  // NODATA: DATA is not shown
	Skip           Protocol = 1 << 10 // SKIP: the rest of a body may be declined
	RejectedRcpt   Protocol = 1 << 11 // RCPT_REJ: recipients that the MTA refuses are shown
	NoReplyConnect Protocol = 1 << 12 // NR_CONN
	NoReplyHelo    Protocol = 1 << 13 // NR_HELO
	NoReplyMail    Protocol = 1 << 14 // NR_MAIL
	NoReplyRcpt    Protocol = 1 << 15 // NR_RCPT
	NoReplyData    Protocol = 1 << 16 // NR_DATA
	NoReplyUnknown Protocol = 1 << 17 // NR_UNKN
	NoReplyEOH     Protocol = 1 << 18 // NR_EOH: the end of the header is not answered
	NoReplyBody    Protocol = 1 << 19 // NR_BODY: pieces of body are not answered
	// HDR_LEADSPC: white space after a field's colon is part of its value, both ways
	LeadingSpace Protocol = 1 << 20
)

// noReply names the bit that leaves a command without an answer.
var noReply = [256]Protocol{
	Connect: NoReplyConnect, Helo: NoReplyHelo, Mail: NoReplyMail, Rcpt: NoReplyRcpt, Data: NoReplyData,
	Unknown: NoReplyUnknown, Header: NoReplyHeader, EndOfHeader: NoReplyEOH, Body: NoReplyBody,
}

// Stage is the place of a list of macros (SMFIM_…).
type Stage uint32

// The stages, in the protocol's numbers, which are not the order of time: the end of the header
// comes before the end of the message.
const (
	StageConnect Stage = iota
	StageHelo
	StageMail
	StageRcpt
	StageData
	StageEndOfMessage // also for the pieces of body
	StageEndOfHeader  // also for the header fields
	stages
)

// Version is the protocol version that the guard speaks at most.
const Version = 6

// minVersion is the oldest that has all that the guard's validation expects: Sendmail 8.11 spoke
// it.
const minVersion = 2

// maxMacros is how many names Sendmail takes for one stage: with one more, it refuses mail with
// 554.
const maxMacros = 50

// Offer is the set of an MTA's abilities, from the first packet of a connection.
type Offer struct {
	Version  uint32
	Actions  Action
	Protocol Protocol
}

// offerSize is an offer's three numbers.
const offerSize = 12

// ParseOffer reads the data of an MTA's OPTNEG packet. What follows the three numbers is left
// alone: a later version may say more. The error is an ErrMalformed.
func ParseOffer(data []byte) (Offer, error) {
	if len(data) < offerSize {
		return Offer{}, malformed("an OPTNEG of %d octets, less than three numbers", len(data))
	}
	o := Offer{
		Version:  binary.BigEndian.Uint32(data),
		Actions:  Action(binary.BigEndian.Uint32(data[4:])),
		Protocol: Protocol(binary.BigEndian.Uint32(data[8:])),
	}
	if o.Version < minVersion {
		return Offer{}, malformed("an OPTNEG for version %d; the lowest supported version is %d",
			o.Version,
			minVersion)
	}
	return o, nil
}

// Wishes are the abilities that a filter would like to use.
type Wishes struct {
	Actions  Action
	Protocol Protocol
	Macros   map[Stage][]string // names as on the wire: "i", "{auth_type}"; needs SetMacros
}

// DefaultWishes are those of a filter that adds, changes and removes header fields and reads the
// body as it passes.
//
// The replies to CONNECT, HELO, MAIL and RCPT are kept: a broken connection is noticed before the
// end of the message, and with no replies at all Postfix's and Sendmail's small segments wait for
// one another. To leave out those to MAIL and RCPT (NR_MAIL, NR_RCPT) saves 16 % of judging a
// message of 4 KB and 17 % of verifying it, driven by "mailseal mta" (the medians of 15 and 11
// rounds: 0.84 and 0.83), which is 0.04 ms of the 3 ms or more that a message takes an MTA. They
// are kept for what could not be answered then:
//
//   - An exempt client is let go at MAIL. What was negotiated holds for a connection: a reload that
//     sets [exempt] would have no effect on those that are open.
//   - Recipients beyond the limit are deferred one by one, and their sender sends them again by
//     themselves (RFC 5321 section 4.5.3.1.10). A message that is deferred as a whole comes again
//     with the same recipients, is deferred again, and is lost when its sender gives up.
//   - A filter that died would be noticed when the body has been sent.
//
// The lists of macros are short on purpose: Postfix sends
// that of the end of the header before every field.
func DefaultWishes() Wishes {
	return Wishes{
		Actions:  AddHeaders | ChangeHeaders | Quarantine | SetMacros,
		Protocol: LeadingSpace | NoReplyHeader | NoReplyEOH | NoReplyBody | NoData | NoUnknown | Skip,
		Macros: map[Stage][]string{
			StageConnect: {
				"j",
				"_",
				"v",
				"{daemon_name}",
				"{daemon_addr}",
				"{client_addr}",
				"{client_name}",
				"{client_ptr}",
			},
			StageMail: {
				"i",
				"{auth_type}",
				"{auth_authen}",
				"{auth_author}",
				"{mail_addr}",
				"{mail_host}",
				"{mail_mailer}",
				"{tls_version}",
				"{cipher}",
			},
			StageEndOfHeader:  {"i"},
			StageEndOfMessage: {"i"},
		},
	}
}

// Agreement is the set of abilities that both sides support.
type Agreement struct {
	Version  uint32
	Actions  Action
	Protocol Protocol
	Macros   [stages][]string // asked for, by Stage; nil leaves the MTA its own list
	// for each wish that was not granted, a sentence that says what it costs
	Missing []string
}

// Agree intersects the wishes with an offer: Sendmail drops a filter that asks for what was not
// offered, and both MTAs do when it is an action.
func Agree(o Offer, w Wishes) Agreement {
	a := Agreement{
		Version:  min(Version, o.Version),
		Actions:  w.Actions & o.Actions,
		Protocol: w.Protocol & o.Protocol,
	}
	for _, c := range costs {
		if w.Actions&^o.Actions&c.action != 0 || w.Protocol&^o.Protocol&c.protocol != 0 {
			a.Missing = append(a.Missing, c.sentence)
		}
	}
	if a.Actions&SetMacros != 0 {
		a.askMacros(w.Macros)
	}
	return a
}

// askMacros takes over the lists of macros, each within what Sendmail bears, and those of the last
// two stages both or not at all: Sendmail looks at the end of the header's list when it wants to
// know whether there is one for the end of the message.
func (a *Agreement) askMacros(lists map[Stage][]string) {
	for stage := range stages {
		names := lists[stage]
		if len(names) > maxMacros {
			a.Missing = append(a.Missing, fmt.Sprintf(
				"%d macros for stage %d: only the first %d are requested, since Sendmail refuses mail with more",
				len(names),
				stage,
				maxMacros,
			))
			names = names[:maxMacros]
		}
		a.Macros[stage] = names
	}
	eoh, eom := &a.Macros[StageEndOfHeader], &a.Macros[StageEndOfMessage]
	if *eoh == nil {
		*eoh = *eom
	}
	if *eom == nil {
		*eom = *eoh
	}
}

// Has reports whether all the given parts of the protocol were agreed on.
func (a Agreement) Has(p Protocol) bool { return a.Protocol&p == p }

// May reports whether all the given actions were agreed on.
func (a Agreement) May(x Action) bool { return a.Actions&x == x }

// Answers reports whether an answer to a command is read by the MTA.
func (a Agreement) Answers(command Code) bool {
	switch command {
	case Macro, Abort, Quit, QuitNewConn:
		return false
	}
	return a.Protocol&noReply[command] == 0
}

// Data returns the data of the OPTNEG packet that tells the MTA.
func (a Agreement) Data() []byte {
	data := binary.BigEndian.AppendUint32(nil, a.Version)
	data = binary.BigEndian.AppendUint32(data, uint32(a.Actions))
	data = binary.BigEndian.AppendUint32(data, uint32(a.Protocol))
	for stage, names := range a.Macros {
		if names == nil {
			continue
		}
		data = binary.BigEndian.AppendUint32(data, uint32(stage))
		data = append(data, strings.Join(names, " ")...)
		data = append(data, 0)
	}
	return data
}

// ParseAgreement reads the data of a filter's OPTNEG packet, what Data writes. Lists of macros for
// unknown stages are left out. The error is an ErrMalformed.
func ParseAgreement(data []byte) (Agreement, error) {
	o, err := ParseOffer(data)
	if err != nil {
		return Agreement{}, err
	}
	a := Agreement{Version: o.Version, Actions: o.Actions, Protocol: o.Protocol}
	for rest := data[offerSize:]; len(rest) > 0; {
		var names []byte
		if len(rest) < 4 {
			return Agreement{}, malformed("an OPTNEG with %d bytes after its lists of macros",
				len(rest))
		}
		stage := Stage(binary.BigEndian.Uint32(rest))
		ok := false
		if names, rest, ok = bytes.Cut(rest[4:], []byte{0}); !ok {
			return Agreement{}, malformed("an OPTNEG with a list of macros that is not terminated")
		}
		if stage < stages {
			a.Macros[stage] = append([]string{}, strings.Fields(string(names))...)
		}
	}
	return a, nil
}

// costs describes, for each wish, what its lack means to the people who run the filter.
var costs = []struct {
	action   Action
	protocol Protocol
	sentence string
}{
	{action: AddHeaders, sentence: "no ADDHDRS: neither signatures nor results can be added to a message"},
	{action: ChangeHeaders, sentence: "no CHGHDRS: forged fields cannot be removed"},
	{action: Quarantine, sentence: "no QUARANTINE: a message cannot be held"},
	{action: SetMacros, sentence: "no SETSYMLIST: the macros are those of the MTA's configuration"},
	{
		protocol: LeadingSpace,
		sentence: "no HDR_LEADSPC: one space is inserted before each value that is not empty and " +
			"does not begin with a tab or a line end; a field that was written without that " +
			"space breaks signatures with simple canonicalization",
	},
	{protocol: NoReplyHeader, sentence: "no NR_HDR: each header field needs an answer, so a message takes longer"},
	{protocol: NoReplyEOH, sentence: "no NR_EOH: the end of the header needs an answer, so a message takes longer"},
	{protocol: NoReplyBody, sentence: "no NR_BODY: each piece of the body needs an answer, so a " +
		"large message takes longer"},
	{protocol: NoData, sentence: "no NODATA: DATA needs an answer"},
	{protocol: NoUnknown, sentence: "no NOUNKNOWN: unknown SMTP commands need an answer"},
	{protocol: Skip, sentence: "no SKIP: the whole body is sent even if Mailseal does not need it"},
}
