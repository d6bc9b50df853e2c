package guard

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

const (
	// smallBuffer serves a connection between messages: the envelope's commands fit several times
	// over.
	smallBuffer = 4 << 10
	// largeBuffer serves headers and bodies: one read takes what an MTA writes of a body at once.
	largeBuffer = 64 << 10
	// keepOut is the output buffer that a connection keeps between messages.
	keepOut = 4 << 10
	// flushAt is how much output is collected before it is written without being asked, and
	// writeDirectly how much data is written without being collected.
	flushAt       = 64 << 10
	writeDirectly = 16 << 10
)

// largeBuffers are shared by the connections: many are open, few of them are in the middle of a
// message.
var largeBuffers = sync.Pool{New: func() any { return new([largeBuffer]byte) }}

// Framer reads and writes whole packets on a connection of either side, with deadlines, and knows
// nothing of what they mean. Reads are buffered; writes are collected until Flush, or until a read
// has to wait for the network. One goroutine may read while others write.
type Framer struct {
	nc     net.Conn
	limits Limits
	ack    func() // asks the kernel to acknowledge at once; nil where that means nothing

	small []byte
	buf   []byte // small, one of largeBuffers, or larger still while one packet needs it
	r, w  int    // buf[r:w] has been received and not been used
	// the last read took all the room that it had: there is more where that came from
	filled  bool
	left    int       // octets of the current packet's data that have not been used
	code    Code      // the current packet's
	begun   bool      // some of the current packet has arrived
	started time.Time // when it began, as far as anyone had to wait for the rest
	// until when the first packet must be complete, the negotiation; zero afterwards
	first time.Time

	mu  sync.Mutex // guards what follows and every write
	out []byte
}

// NewFramer frames nc. It sets the socket up (keep-alive, immediate acknowledgement) and reads
// nothing. The clock of the handshake begins.
func NewFramer(nc net.Conn, limits Limits) *Framer {
	keepAlive(nc)
	limits = limits.filled()
	buf := make([]byte, smallBuffer)
	return &Framer{nc: nc, limits: limits, ack: quickAck(nc), small: buf, buf: buf,
		first: time.Now().Add(limits.Handshake)}
}

// ReadPacket returns the next packet. Its data is valid until the next read. The error is io.EOF
// when the peer closed between two packets, io.ErrUnexpectedEOF (wrapped) when it closed inside
// one, ErrMalformed (wrapped) for a length out of bounds, and os.ErrDeadlineExceeded (wrapped) when
// it was too slow.
func (f *Framer) ReadPacket() (Packet, error) {
	code, err := f.next()
	if err != nil {
		return Packet{}, err
	}
	data, err := f.rest()
	return Packet{Code: code, Data: data}, err
}

// next reads a packet's length and code, after skipping what was not used of the packet before.
func (f *Framer) next() (Code, error) {
	for f.left > 0 {
		if _, err := f.chunk(); err != nil {
			return 0, err
		}
	}
	f.begun, f.started = f.w > f.r, time.Time{}
	if err := f.need(4); err != nil {
		return 0, err
	}
	size := binary.BigEndian.Uint32(f.buf[f.r:])
	if size == 0 || int64(size) > int64(f.limits.Packet) {
		return 0, oversized(f.buf[f.r:f.r+4], f.limits.Packet)
	}
	if err := f.need(headSize); err != nil {
		return 0, err
	}
	f.code = Code(f.buf[f.r+4])
	f.r += headSize
	f.left = int(size) - 1
	return f.code, nil
}

// rest returns all of the current packet's data, valid until the next read. The buffer grows by
// what has arrived, never by what was announced.
func (f *Framer) rest() ([]byte, error) {
	if err := f.need(f.left); err != nil {
		return nil, err
	}
	data := f.buf[f.r : f.r+f.left]
	f.r += f.left
	f.left = 0
	f.first = time.Time{}
	return data, nil
}

// chunk returns some of the current packet's data, none only at its end, valid until the next read.
func (f *Framer) chunk() ([]byte, error) {
	if f.left == 0 {
		return nil, nil
	}
	if err := f.need(1); err != nil {
		return nil, err
	}
	data := f.buf[f.r:min(f.w, f.r+f.left)]
	f.r += len(data)
	f.left -= len(data)
	return data, nil
}

// oversized returns an error for the length of a packet. Other protocols begin with text in
// its place: "EHLO", "GET ", and 0x16 0x03, the handshake of TLS.
func oversized(length []byte, most int) error {
	isText := !bytes.ContainsFunc(length, func(r rune) bool {
		return r < ' ' && r != '\r' && r != '\n' || r > '~'
	})
	switch {
	case isText:
		return malformed("the connection begins with the text %q, so the client may be one for SMTP or HTTP",
			length)
	case length[0] == 0x16 && length[1] == 0x03:
		return malformed(
			"the connection begins with a TLS handshake, and milters do not use TLS")
	}
	return malformed("a packet of %d bytes; 1 to %d are allowed", binary.BigEndian.Uint32(length),
		most)
}

// need waits until n unused octets are in the buffer.
func (f *Framer) need(n int) error {
	for f.w-f.r < n {
		if err := f.fill(); err != nil {
			return err
		}
	}
	return nil
}

// fill reads from the network once, after writing what is waiting to be written.
func (f *Framer) fill() error {
	if err := f.Flush(); err != nil {
		return err
	}
	f.makeRoom()
	if err := f.nc.SetReadDeadline(f.deadline()); err != nil {
		return fmt.Errorf("read from the MTA: %w", err)
	}
	n, err := f.nc.Read(f.buf[f.w:])
	if f.ack != nil {
		f.ack()
	}
	f.filled = n == len(f.buf)-f.w
	f.w += n
	if n > 0 {
		f.begun = true
		return nil
	}
	return f.readError(err)
}

// deadline returns when the read that is about to wait must have an end.
func (f *Framer) deadline() time.Time {
	now := time.Now()
	if !f.first.IsZero() {
		return f.first
	}
	if !f.begun {
		return now.Add(f.limits.Idle)
	}
	if f.started.IsZero() {
		f.started = now
	}
	return f.started.Add(f.limits.InPacket)
}

// readError adds to an error the wait in which a read ended, which distinguishes a slow
// peer from a broken one.
func (f *Framer) readError(err error) error {
	f.release()
	switch {
	case err == nil:
		return io.ErrNoProgress
	case errors.Is(err, io.EOF) && f.begun:
		return fmt.Errorf("the peer closed inside a packet: %w", io.ErrUnexpectedEOF)
	case errors.Is(err, io.EOF):
		return io.EOF
	case errors.Is(err, os.ErrDeadlineExceeded) && !f.first.IsZero():
		return fmt.Errorf("no offer within %v: %w", f.limits.Handshake, err)
	case errors.Is(err, os.ErrDeadlineExceeded) && f.begun:
		return fmt.Errorf("a packet was not complete after %v: %w", f.limits.InPacket, err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("no packet for %v: %w", f.limits.Idle, err)
	}
	return fmt.Errorf("read from the MTA: %w", err)
}

// makeRoom sees to it that the buffer has room, and the right size: small while nothing much
// happens, large when a small one did not hold what was there, larger when a single packet needs
// it.
func (f *Framer) makeRoom() {
	switch {
	case f.r == f.w:
		f.r, f.w = 0, 0
		if !f.inMessage() || len(f.buf) > largeBuffer {
			f.release()
		}
		if f.filled && len(f.buf) < largeBuffer {
			f.moveTo(largeBuffers.Get().(*[largeBuffer]byte)[:])
		}
	case f.w < len(f.buf):
	case len(f.buf) < largeBuffer:
		f.moveTo(largeBuffers.Get().(*[largeBuffer]byte)[:])
	case f.r > 0:
		f.moveTo(f.buf)
	default:
		f.moveTo(make([]byte, min(2*len(f.buf), f.limits.Packet+headSize)))
	}
}

// inMessage reports whether more of the same message is to be expected soon.
func (f *Framer) inMessage() bool {
	return f.left > 0 || f.code == Header || f.code == EndOfHeader || f.code == Body
}

// moveTo makes buf the buffer.
func (f *Framer) moveTo(buf []byte) {
	n := copy(buf, f.buf[f.r:f.w])
	if &buf[0] != &f.buf[0] {
		f.giveBack()
	}
	f.buf, f.r, f.w = buf, 0, n
}

// release goes back to the small buffer. Nothing that is in the larger one may still be needed.
func (f *Framer) release() {
	f.giveBack()
	f.buf, f.r, f.w = f.small, 0, 0
}

func (f *Framer) giveBack() {
	if len(f.buf) == largeBuffer {
		largeBuffers.Put((*[largeBuffer]byte)(f.buf))
	}
}

// WritePacket appends a packet to the output; its data may come in parts. It reaches the network
// with Flush, with the next read that has to wait, or when much has been collected.
func (f *Framer) WritePacket(code Code, data ...[]byte) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	size := 0
	for _, part := range data {
		size += len(part)
	}
	if size >= writeDirectly {
		f.out = appendHead(f.out, code, size)
		return f.flush(data...)
	}
	f.out = AppendPacket(f.out, code, data...)
	if len(f.out) < flushAt {
		return nil
	}
	return f.flush()
}

// Flush writes what has been collected, in one write.
func (f *Framer) Flush() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.flush()
}

// flush writes what has been collected, and more behind it.
func (f *Framer) flush(more ...[]byte) error {
	if len(f.out) == 0 {
		return nil
	}
	err := f.nc.SetWriteDeadline(time.Now().Add(f.limits.Write))
	if err == nil && len(more) == 0 {
		_, err = f.nc.Write(f.out)
	} else if err == nil {
		parts := append(net.Buffers{f.out}, more...)
		_, err = parts.WriteTo(f.nc)
	}
	f.out = f.out[:0]
	if cap(f.out) > keepOut {
		f.out = nil
	}
	if err != nil {
		return fmt.Errorf("write to the MTA: %w", err)
	}
	return nil
}

// Close closes the connection. What has not been flushed is lost.
func (f *Framer) Close() error { return f.nc.Close() }
