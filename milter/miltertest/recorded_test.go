package miltertest

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"mailseal/milter/guard"
)

// recordings are conversations of real MTAs with a milter, kept beside the repository.
const recordings = "../../../shared/vectors/wire"

// TestPlaysAsRecorded plays every recorded session of one message, with the milter's recorded
// answers, and wants to say octet for octet what the real MTA said.
func TestPlaysAsRecorded(t *testing.T) {
	all, err := ReadRecordings(recordings)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) == 0 {
		t.Skipf("no recordings in %s", recordings)
	}
	for _, r := range all {
		t.Run(r.Name, func(t *testing.T) {
			mta := Postfix
			if strings.HasPrefix(r.Name, "sendmail") {
				mta = Sendmail
			}
			played := 0
			for i, said := range r.Conversations {
				if isPlain(said) {
					playRecorded(t, fmt.Sprintf("conversation %d", i+1), mta, said)
					played++
				}
			}
			if played == 0 {
				t.Error("no session of one message")
			}
		})
	}
}

// isPlain reports whether a session is one message and nothing else, recorded whole: packets over
// 30 KB were left out, but not their macros. Recipients that the MTA refused were shown in a few.
func isPlain(said []Recorded) bool {
	var codes []byte
	missing := 0
	for _, p := range said {
		switch {
		case bytes.Contains(p.Data, []byte("<@@bad>")):
			return false
		case !p.MTA:
		case p.Code == guard.Macro && (p.Data[0] == 'L' || p.Data[0] == 'B'):
			missing++
		case p.Code == guard.Header || p.Code == guard.Body:
			missing--
		case p.Code != guard.Macro && p.Code != guard.Rcpt:
			codes = append(codes, byte(p.Code))
		}
	}
	order := string(codes)
	return missing <= 0 && (order == "OCHMNEQ" || order == "OCHMNEAAQ")
}

func playRecorded(t *testing.T, name string, mta MTA, said []Recorded) {
	t.Helper()
	o, m := fromRecording(mta, said)
	client, milter := net.Pipe()
	result := make(chan error, 1)
	go func() { result <- answerRecorded(milter, said) }()
	c, err := New(client, o)
	if err == nil {
		_, err = c.Send(m)
	}
	if err == nil {
		err = c.Quit()
	}
	client.Close()
	if said := <-result; said != nil {
		t.Errorf("%s: %v", name, said)
	} else if err != nil {
		t.Errorf("%s: %v", name, err)
	}
}

// fromRecording finds out who sent what to whom.
func fromRecording(mta MTA, said []Recorded) (Options, Message) {
	o, m := Options{As: mta, Macros: map[string]string{}}, Message{}
	var raw bytes.Buffer
	leading := false
	for _, p := range said {
		words := strings.Split(strings.TrimSuffix(string(p.Data), "\x00"), "\x00")
		switch {
		case p.Code == guard.Negotiate && !p.MTA:
			a, _ := guard.ParseAgreement(p.Data)
			leading = a.Has(guard.LeadingSpace)
		case !p.MTA:
		case p.Code == guard.Connect:
			o.ClientName = words[0]
			rest := p.Data[len(words[0])+2:]
			o.Port = binary.BigEndian.Uint16(rest)
			o.Client = netip.MustParseAddr(strings.TrimPrefix(string(rest[2:len(rest)-1]), "IPv6:"))
		case p.Code == guard.Helo:
			o.Helo = words[0]
		case p.Code == guard.Macro:
			macrosOf(string(p.Data), &o, &m)
		case p.Code == guard.Mail:
			m.From, m.FromArgs = strings.Trim(words[0], "<>"), words[1:]
		case p.Code == guard.Rcpt:
			m.To, m.ToArgs = append(m.To, strings.TrimSuffix(strings.TrimPrefix(words[0], "<"),
				">")), words[1:]
		case p.Code == guard.Header:
			name, value, _ := strings.Cut(strings.TrimSuffix(string(p.Data), "\x00"), "\x00")
			if !leading && value != "" && value[0] != '\t' && value[0] != '\n' {
				value = " " + value
			}
			raw.WriteString(name + ":" + value + "\n")
		case p.Code == guard.EndOfHeader:
			raw.WriteString("\n")
		case p.Code == guard.Body:
			raw.Write(p.Data)
		}
	}
	m.Raw = raw.Bytes()
	return o, m
}

// macrosOf takes what the player cannot know: names and hosts.
func macrosOf(data string, o *Options, m *Message) {
	words := strings.Split(data[1:], "\x00")
	for i := 0; i+1 < len(words); i += 2 {
		switch name, value := words[i], words[i+1]; name {
		case "i":
			m.Queue = value
		case "j":
			o.Hostname = value
		case "{msg_id}":
			if when, err := time.Parse("<200601021504", strings.Split(value, ".")[0]); err == nil {
				o.Now = func() time.Time { return when } // Sendmail's own
			}
		case "{mail_host}", "{rcpt_host}":
			o.Macros[name] = value
		}
	}
}

// answerRecorded is the milter's side: it compares what comes with what came, and says what was
// said.
func answerRecorded(nc net.Conn, said []Recorded) error {
	defer nc.Close()
	f := guard.NewFramer(nc, guard.Limits{})
	for _, p := range said {
		if !p.MTA {
			if err := f.WritePacket(p.Code, p.Data); err != nil {
				return err
			}
			continue
		}
		got, err := f.ReadPacket()
		if err != nil {
			return fmt.Errorf("want %v %q, got %w", p.Code, p.Data, err)
		}
		if got.Code != p.Code || !bytes.Equal(got.Data, p.Data) && !sameMacros(string(got.Data),
			string(p.Data)) {
			return fmt.Errorf("\n got %v %q\nwant %v %q", got.Code, got.Data, p.Code, p.Data)
		}
	}
	return nil
}

// sameMacros reports whether two macro packets differ only in the order, and the queue id that
// Sendmail has at CONNECT for no message at all.
func sameMacros(a, b string) bool {
	return len(a) > 0 && slices.Equal(sortedMacros(a), sortedMacros(b))
}

func sortedMacros(data string) (out []string) {
	words := strings.Split(data[1:], "\x00")
	for i := 0; i+1 < len(words); i += 2 {
		if words[i] != "i" || data[0] != 'C' {
			out = append(out, words[i]+"="+words[i+1])
		}
	}
	slices.Sort(out)
	return append(out, data[:1])
}
