package arguments

import (
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"mailseal/config"
	"mailseal/milter/domain"
)

// mailDomain takes a domain in which there are mail addresses.
func mailDomain(s string) error {
	_, err := domain.ParseMail(s)
	return err
}

// dnsName takes a name of several labels, which may be that of a record such as _spf.example.com.
func dnsName(s string) error {
	n, err := domain.ParseNamed(s)
	switch {
	case err != nil:
		return fmt.Errorf("%w; write a name such as example.com", err)
	case n.Labels() < 2:
		return fmt.Errorf("%.80q is not a name such as example.com: it has one label", s)
	}
	return nil
}

// hostName takes the name of a host, also a short one: clients give any.
func hostName(s string) error {
	if _, err := domain.ParseNamed(s); err != nil {
		return fmt.Errorf("%w; write a host name such as mx.example.com", err)
	}
	return nil
}

// fullName takes a name that no other host has.
func fullName(s string) error {
	if !domain.IsFull(s) {
		return fmt.Errorf("%.80q is not a full host name, such as mail.example.com; fields of "+
			"strangers with this name are removed", s)
	}
	return nil
}

func selector(s string) error {
	_, err := domain.ParseSelector(s)
	return err
}

func selectorTemplate(s string) error {
	if _, err := domain.ParseSelector(s); err == nil {
		return nil
	}
	return config.CheckSelectorTemplate(s)
}

// keyName takes a domain or the name of a key's record.
func keyName(s string) error {
	if selector, of, isRecord := domain.SplitRecord(s); isRecord && selector != "" && of != "" {
		return dnsName(s)
	}
	return mailDomain(s)
}

func ipAddress(s string) error {
	if _, err := netip.ParseAddr(s); err != nil {
		return fmt.Errorf("%.80q is not an IP address, such as 192.0.2.1 or 2001:db8::1", s)
	}
	return nil
}

func ipNetwork(s string) error {
	_, prefixErr := netip.ParsePrefix(s)
	if _, err := netip.ParseAddr(s); err != nil && prefixErr != nil {
		return fmt.Errorf("%.80q is neither an IP address nor a network, such as 192.0.2.0/24", s)
	}
	return nil
}

// sender takes an envelope sender: an address, or <> for a bounce.
func sender(s string) error {
	if s == "<>" {
		return nil
	}
	return mailAddress(s)
}

// mailAddress takes an address, in angle brackets or without.
func mailAddress(s string) error {
	bare := s
	if strings.HasPrefix(s, "<") && strings.HasSuffix(s, ">") {
		bare = s[1 : len(s)-1]
	}
	at := strings.LastIndexByte(bare, '@')
	if at < 1 {
		return fmt.Errorf("%.80q is not a mail address, such as user@example.com", s)
	}
	host := bare[at+1:]
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		return nil // an address literal
	}
	if _, err := domain.Parse(host); err != nil {
		why := strings.TrimPrefix(err.Error(), domain.ErrInvalid.Error()+": ")
		return fmt.Errorf("%.80q is not a mail address, such as user@example.com: in its domain, %s",
			s, why)
	}
	return nil
}

func hostPort(s string) error {
	host, port, err := net.SplitHostPort(s)
	n, portErr := strconv.ParseUint(port, 10, 16)
	if err != nil || portErr != nil || n == 0 || host == "" {
		return fmt.Errorf("%.80q is not a host and a port, such as mx.example.net:25", s)
	}
	return nil
}

// hostMaybePort takes a host name or an IP address, with a port or without.
func hostMaybePort(s string) error {
	if hostPort(s) == nil {
		return nil
	}
	if ipAddress(strings.Trim(s, "[]")) == nil {
		return nil
	}
	if _, err := domain.Parse(s); err != nil {
		return fmt.Errorf("%.80q is not a host, such as mx.example.net or mx.example.net:25", s)
	}
	return nil
}

func timestamp(s string) error {
	if _, err := time.Parse(time.RFC3339, s); err != nil {
		return fmt.Errorf("%.80q is not a time such as 2026-01-31T12:00:00Z", s)
	}
	return nil
}

func day(s string) error {
	if _, err := time.Parse(time.DateOnly, s); err != nil {
		return fmt.Errorf("%.80q is not a day such as 2026-01-31", s)
	}
	return nil
}
