package config

import (
	"fmt"
	"io/fs"
	"log/slog"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

// Size is a number of octets.
type Size int64

// Secret is text that must not be shown: every way of printing it hides it. string(s) is the text.
type Secret string

// String hides the secret.
func (s Secret) String() string {
	if s == "" {
		return ""
	}
	return "(hidden)"
}

// Format hides the secret from every verb of fmt.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(s.String())) }

// LogValue hides the secret from logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText hides the secret from encoders.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// unit is a word behind a number, and the factor that it means.
type unit struct {
	word  string
	value int64
}

var durationUnits = []unit{
	{"ms", int64(time.Millisecond)}, {"s", int64(time.Second)}, {"m", int64(time.Minute)}, {"h", int64(time.Hour)},
	{"d", int64(24 * time.Hour)}, {"w", int64(7 * 24 * time.Hour)},
}

var sizeUnits = []unit{{"b", 1}, {"kib", 1 << 10}, {"mib", 1 << 20}, {"gib", 1 << 30}}

// parseDuration reads "4s", "1h30m", "10d". time.ParseDuration knows no days.
func parseDuration(s string) (time.Duration, error) {
	n, err := parseUnits(s, durationUnits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a duration; write a number and ms, s, m, h, d or w", s)
	}
	return time.Duration(n), nil
}

// parseSize reads "1MiB", "64 KiB".
func parseSize(s string) (Size, error) {
	n, err := parseUnits(strings.ToLower(s), sizeUnits)
	if err != nil {
		return 0, fmt.Errorf("%q is not a size; write a number and B, KiB, MiB or GiB", s)
	}
	return Size(n), nil
}

// parseUnits sums numbers with units.
func parseUnits(s string, units []unit) (int64, error) {
	if s == "" {
		return 0, strconv.ErrSyntax
	}
	var sum int64
	for s != "" {
		digits := len(s) - len(strings.TrimLeft(s, "0123456789"))
		n, err := strconv.ParseInt(s[:digits], 10, 64)
		if err != nil {
			return 0, err
		}
		s = strings.TrimLeft(s[digits:], " ")
		letters := len(s) - len(strings.TrimLeft(s, "abcdefghijklmnopqrstuvwxyz"))
		scale := unitValue(s[:letters], units)
		if scale == 0 || n > (math.MaxInt64-sum)/scale {
			return 0, strconv.ErrRange
		}
		sum += n * scale
		s = s[letters:]
	}
	return sum, nil
}

func unitValue(word string, units []unit) int64 {
	for _, u := range units {
		if u.word == word {
			return u.value
		}
	}
	return 0
}

// parseNetwork reads an address or a network. OpenDKIM lets "192.168.0.1/24" and "172.16/12" stand
// and never matches them; both are mistakes here, with the text that was meant.
func parseNetwork(s string) (netip.Prefix, error) {
	bare := strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")
	if a, err := netip.ParseAddr(bare); err == nil && a.Zone() == "" {
		return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither an address nor a network%s", s,
			networkHint(s))
	}
	if a := p.Addr(); a.Is4In6() {
		if p.Bits() < 96 {
			return netip.Prefix{}, fmt.Errorf("%q contains more than IPv4 addresses; write it as "+
				"an IPv4 network", s)
		}
		p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	if m := p.Masked(); m != p {
		return netip.Prefix{}, fmt.Errorf("%q has bits set after its %d-bit prefix%s", s,
			p.Bits(), didYouMean(m.String()))
	}
	return p, nil
}

// networkHint corrects the two spellings that other programs took: 172.16/12 and
// 192.0.2.0/255.255.255.0.
func networkHint(s string) string {
	addr, length, ok := strings.Cut(s, "/")
	if !ok && strings.ContainsAny(s, "ghijklmnopqrstuvwxyz") {
		return "; names of hosts go into hosts, where there is such a setting"
	}
	if !ok {
		return ""
	}
	for strings.Count(addr, ".") < 3 && !strings.Contains(addr, ":") {
		addr += ".0"
	}
	if mask, err := netip.ParseAddr(length); err == nil && mask.Is4() {
		octets := mask.As4()
		ones := strings.TrimRight(fmt.Sprintf("%08b%08b%08b%08b", octets[0], octets[1], octets[2],
			octets[3]), "0")
		if strings.Contains(ones, "0") {
			return ""
		}
		length = strconv.Itoa(len(ones))
	}
	p, err := netip.ParsePrefix(addr + "/" + length)
	if err != nil {
		return ""
	}
	return didYouMean(p.Masked().String())
}

// parseServer reads the address of a name server, with port 53 unless it says another.
func parseServer(s string) (netip.AddrPort, error) {
	if a, err := netip.ParseAddr(strings.TrimSuffix(strings.TrimPrefix(s, "["), "]")); err == nil {
		return netip.AddrPortFrom(a, 53), nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil || ap.Port() == 0 {
		return netip.AddrPort{}, fmt.Errorf("%q is not a server's address; write 192.0.2.53, or "+
			"with a port 192.0.2.53:5353 or [2001:db8::53]:5353", s)
	}
	return ap, nil
}

// parseMode reads permission bits in octal.
func parseMode(s string) (fs.FileMode, error) {
	n, err := strconv.ParseUint(s, 8, 32)
	if err == nil && n == 0 {
		return 0, fmt.Errorf("%q lets no process use the socket; the smallest mode that works is \"0600\"", s)
	}
	if err != nil || n > 0o777 {
		return 0, fmt.Errorf("%q is not a file mode; write three octal digits, such as \"0660\"", s)
	}
	return fs.FileMode(n), nil
}
