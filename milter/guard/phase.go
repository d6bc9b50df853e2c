package guard

// phase is how far a conversation has come.
type phase uint8

const (
	negotiated phase = 1 << iota // the client is not known yet
	between                      // between two messages
	inEnvelope                   // MAIL has been seen
	inHeader                     // DATA or a header field has been seen
	inBody                       // the header is complete

	anyPhase = negotiated | between | inEnvelope | inHeader | inBody
)

var phaseNames = map[phase]string{
	negotiated: "before CONNECT", between: "between messages", inEnvelope: "in the envelope",
	inHeader: "in the header", inBody: "in the body",
}

// comesIn lists the phases in which a command is allowed. It allows everything that both
// MTAs do: Sendmail begins a message without having ended the last one, Postfix sends HELO
// in an envelope and its ABORT afterwards.
var comesIn = [256]phase{
	Connect:     negotiated,
	Helo:        between | inEnvelope,
	Mail:        between | inEnvelope | inHeader | inBody,
	Rcpt:        inEnvelope,
	Data:        inEnvelope,
	Header:      inEnvelope | inHeader,
	EndOfHeader: inEnvelope | inHeader,
	Body:        inBody,
	EndOfBody:   inBody,
	Unknown:     negotiated | between | inEnvelope,
	Macro:       anyPhase,
	Abort:       anyPhase,
	Quit:        anyPhase,
	QuitNewConn: anyPhase,
}

// after returns the phase that a command leads to. The error says that it came out of turn.
func (p phase) after(code Code) (phase, error) {
	if comesIn[code]&p == 0 {
		return p, malformed("%v %s", code, phaseNames[p])
	}
	switch code {
	case Connect, EndOfBody:
		return between, nil
	case Mail:
		return inEnvelope, nil
	case Data, Header:
		return inHeader, nil
	case EndOfHeader:
		return inBody, nil
	case Abort:
		return min(p, between), nil
	case QuitNewConn:
		return negotiated, nil
	}
	return p, nil
}
