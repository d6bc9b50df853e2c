package guard_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"mailseal/milter/guard"
)

// FuzzConn has the guard read any octets after a handshake. Whatever they are: what comes out
// behind it is whole, valid commands in their order; it does not depend on how the network cuts the
// octets, nor on whether sinks take a part; and the MTA gets as many answers as it waits for.
func FuzzConn(f *testing.F) {
	f.Fuzz(func(t *testing.T, protocol uint32, octets []byte) {
		whole := drive(t, protocol, octets, false, false)
		for _, other := range []outcome{drive(t, protocol, octets, true, false),
			drive(t, protocol, octets, false, true)} {
			if !slices.Equal(joinBodies(other.events), joinBodies(whole.events)) {
				t.Errorf("events differ\n%q\n%q", whole.events, other.events)
			}
			if !bytes.Equal(other.answers, whole.answers) {
				t.Errorf("answers differ\n%q\n%q", whole.answers, other.answers)
			}
			if fmt.Sprint(other.err) != fmt.Sprint(whole.err) {
				t.Errorf("ends differ: %v, %v", whole.err, other.err)
			}
		}
	})
}

// FuzzParseAgreement reads any octets as a filter's answer to an offer, and what was understood
// once more.
func FuzzParseAgreement(f *testing.F) {
	f.Fuzz(func(t *testing.T, data []byte) {
		a, err := guard.ParseAgreement(data)
		if err != nil {
			if !errors.Is(err, guard.ErrMalformed) {
				t.Errorf("got %v", err)
			}
			return
		}
		again, err := guard.ParseAgreement(a.Data())
		if err != nil || !reflect.DeepEqual(a, again) {
			t.Errorf("%v\n%+v\n%+v", err, a, again)
		}
	})
}

type outcome struct {
	events  []string
	answers []byte
	err     error
}

// drive lets the guard read octets, after an offer, and plays go-milter behind it.
func drive(t *testing.T, protocol uint32, octets []byte, bytewise, sinks bool) (o outcome) {
	nc := &scriptedConn{input: append([]byte("\x00\x00\x00\x0dO"),
		offer(6, allActions, protocol)...)}
	nc.input = append(nc.input, octets...)
	c, err := guard.Handshake(chopped{nc, bytewise}, defaults)
	if err != nil {
		t.Fatal(err)
	}
	if sinks {
		c.OnHeader(func(name, value []byte) error {
			o.events = append(o.events, fmt.Sprintf("HEADER %s\x00%s\x00", name, value))
			return nil
		})
		c.OnBody(func(p []byte) error {
			o.events = append(o.events, "BODY "+string(p))
			return nil
		})
	}
	for {
		var size [4]byte
		if _, err := io.ReadFull(c, size[:]); err != nil {
			break
		}
		data := make([]byte, binary.BigEndian.Uint32(size[:]))
		if _, err := io.ReadFull(c, data); err != nil {
			break
		}
		code := guard.Code(data[0])
		if code != guard.Body || len(data) > 1 { // sinks are not shown empty pieces
			o.events = append(o.events, fmt.Sprintf("%v %s", code, data[1:]))
		}
		if code != guard.Abort && code != guard.Quit {
			if _, err := c.Write(guard.AppendPacket(nil, guard.Continue)); err != nil {
				t.Fatalf("the answer to %v: %v", code, err)
			}
		}
	}
	if err := c.Err(); err != nil && !errors.Is(err, guard.ErrMalformed) &&
		!errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("the end: %v", err)
	}
	o.answers, o.err = nc.written, c.Err()
	for errors.Is(o.err, io.ErrUnexpectedEOF) && len(o.events) > 0 &&
		strings.HasPrefix(o.events[len(o.events)-1], "BODY ") {
		o.events = o.events[:len(o.events)-1] // a sink has some of a piece that is never complete
	}
	return o
}

// chopped gives out one octet at a time.
type chopped struct {
	*scriptedConn
	bytewise bool
}

func (c chopped) Read(p []byte) (int, error) {
	if c.bytewise {
		return iotest.OneByteReader(c.scriptedConn).Read(p)
	}
	return c.scriptedConn.Read(p)
}
