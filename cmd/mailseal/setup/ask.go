package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/answer"
	"mailseal/milter/domain"
)

// ask completes the answers of the command line: from what was found, and where that is not enough
// from the terminal.
func (r *run) ask() error {
	if !r.Yes && !r.Terminal {
		return answer.NewUsage(
			errors.New("standard input is not a terminal; give --yes to use the defaults that " +
				"were found"),
		)
	}
	h := r.result.Host
	q := questions{in: bufio.NewScanner(r.In), out: r.Out, silent: r.Yes}
	_, parent, _ := strings.Cut(h.Name, ".")
	if r.Yes && len(r.Domains) == 0 {
		return answer.NewUsage(errors.New(
			"name the domains that sign: mailseal setup --yes example.com"))
	}
	q.list(&r.Domains, "Domains whose mail is signed", words(parent), func(names []string) error {
		if len(names) == 0 {
			return errors.New("name one domain or more, such as example.com")
		}
		return checkDomains(names)
	})
	q.list(&r.Networks, "Networks whose mail is ours", h.Networks, checkNetworks)
	q.list(&r.Addresses, "Addresses from which mail leaves, for SPF", h.Addresses, checkAddresses)
	q.text(&r.Selector, "Selector of new keys", r.Now().UTC().Format("200601"), checkSelector)
	q.text(&r.AuthservID, "Name in Authentication-Results", h.Name, checkID)
	if !r.Yes {
		q.text(&r.Reports, "Address for DMARC reports, empty for none", "", checkReports)
	}
	if len(r.Algorithms) == 0 {
		r.Algorithms = []string{"rsa", "ed25519"}
	}
	return r.validate()
}

// words parts a list by commas and white space.
func words(text string) []string {
	return strings.FieldsFunc(text, func(c rune) bool { return c == ',' || c == ' ' || c == '\t' })
}

// validate refuses answers that no record or configuration could have.
func (r *run) validate() error {
	if len(r.Domains) == 0 {
		return answer.NewUsage(errors.New("name the domains that sign: mailseal setup example.com"))
	}
	if r.AuthservID == "" {
		return answer.NewUsage(errors.New("this host's full name is not known: give one with " +
			"--authserv-id, such as mail.example.com"))
	}
	if err := r.validateGiven(); err != nil {
		return err
	}
	var err error
	r.Domains, err = parsedDomains(r.Domains)
	r.result.Domains = r.Domains
	return err
}

// validateGiven refuses answers that are there and cannot be right; those that are missing will be
// asked for.
func (r *run) validateGiven() error {
	var errs []error
	flag := func(name string, err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
	}
	flag("DOMAIN", checkDomains(r.Domains))
	flag("--network", checkNetworks(r.Networks))
	flag("--address", checkAddresses(r.Addresses))
	if r.Selector != "" {
		flag("--selector", checkSelector(r.Selector))
	}
	if r.AuthservID != "" {
		flag("--authserv-id", checkID(r.AuthservID))
	}
	flag("--reports", checkReports(r.Reports))
	for _, alg := range r.Algorithms {
		if alg != "rsa" && alg != "ed25519" {
			flag("--algorithm", fmt.Errorf("%q is not rsa or ed25519", alg))
		}
	}
	if !slices.Contains([]string{"", "postfix", "sendmail", "none"}, r.MTA) {
		flag("--mta", fmt.Errorf("%q is not postfix, sendmail or none", r.MTA))
	}
	if err := errors.Join(errs...); err != nil {
		return answer.NewUsage(err)
	}
	return nil
}

// questions are put to the operator, one by one.
type questions struct {
	in     *bufio.Scanner
	out    io.Writer
	silent bool // nothing is asked
}

// text asks for a value that was not given, and again if the answer is one that it cannot be.
func (q questions) text(to *string, question, found string, check func(string) error) {
	if *to != "" {
		return
	}
	*to = found
	for !q.silent {
		fmt.Fprintf(q.out, "%s [%s]: ", question, found)
		if !q.in.Scan() {
			return
		}
		if text := strings.TrimSpace(q.in.Text()); text != "" {
			*to = text
		}
		err := check(*to)
		if err == nil {
			return
		}
		fmt.Fprintln(q.out, " ", answer.Text(err))
		*to = found
	}
}

// list does the same for a list of values.
func (q questions) list(to *[]string, question string, found []string, check func([]string) error) {
	if len(*to) > 0 {
		return
	}
	var line string
	q.text(&line, question, strings.Join(found, ", "),
		func(s string) error { return check(words(s)) })
	*to = words(line)
}

func checkDomains(names []string) error {
	_, err := parsedDomains(names)
	return err
}

func checkNetworks(list []string) error {
	for _, n := range list {
		_, prefixErr := netip.ParsePrefix(n)
		if _, err := netip.ParseAddr(n); err != nil && prefixErr != nil {
			return fmt.Errorf("%q is neither an IP address nor a network, such as 192.0.2.0/24", n)
		}
	}
	return nil
}

func checkAddresses(list []string) error {
	for _, a := range list {
		if _, err := netip.ParseAddr(a); err != nil {
			return fmt.Errorf("%q is not an IP address, such as 192.0.2.1", a)
		}
	}
	return nil
}

func checkSelector(s string) error {
	_, err := domain.ParseSelector(s)
	return err
}

func checkID(s string) error {
	if !domain.IsFull(s) {
		return fmt.Errorf("%q is not a full host name, such as mail.example.com; strangers' fields "+
			"with this name are removed", s)
	}
	return nil
}

func checkReports(s string) error {
	if s == "" {
		return nil
	}
	user, host, _ := strings.Cut(s, "@")
	_, err := domain.ParseMail(host)
	if err != nil || user == "" || strings.ContainsAny(user, " ,;!\"<>") {
		return fmt.Errorf("%q is not a mail address, such as dmarc@example.com", s)
	}
	return nil
}
