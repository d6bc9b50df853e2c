package setup

import (
	"bufio"
	"errors"
	"fmt"
	"net/netip"
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
	in := bufio.NewScanner(r.In)
	text := func(question, found string) string {
		if r.Yes {
			return found
		}
		fmt.Fprintf(r.Out, "%s [%s]: ", question, found)
		if !in.Scan() || strings.TrimSpace(in.Text()) == "" {
			return found
		}
		return strings.TrimSpace(in.Text())
	}
	list := func(given []string, question string, found []string) []string {
		if len(given) > 0 {
			return given
		}
		return words(text(question, strings.Join(found, ", ")))
	}
	_, parent, _ := strings.Cut(h.Name, ".")
	if r.Yes && len(r.Domains) == 0 {
		return answer.NewUsage(errors.New(
			"name the domains that sign: mailseal setup --yes example.com"))
	}
	r.Domains = list(r.Domains, "Domains whose mail is signed", words(parent))
	r.Networks = list(r.Networks, "Networks whose mail is ours", h.Networks)
	r.Addresses = list(r.Addresses, "Addresses from which mail leaves, for SPF", h.Addresses)
	if r.Selector == "" {
		r.Selector = text("Selector of new keys", r.Now().UTC().Format("200601"))
	}
	if r.AuthservID == "" {
		r.AuthservID = text("Name in Authentication-Results", h.Name)
	}
	if r.Reports == "" && !r.Yes {
		r.Reports = text("Address for DMARC reports, empty for none", "")
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
	var err error
	if len(r.Domains) == 0 {
		return answer.NewUsage(errors.New("name the domains that sign: mailseal setup example.com"))
	}
	if r.Domains, err = parsedDomains(r.Domains); err != nil {
		return err
	}
	r.result.Domains = r.Domains
	if _, err := domain.ParseSelector(r.Selector); err != nil {
		return answer.NewUsage(fmt.Errorf("--selector: %w", err))
	}
	if r.AuthservID == "" {
		return answer.NewUsage(errors.New("this host's full name is not known: give one with " +
			"--authserv-id, such as mail.example.com"))
	}
	if !domain.IsFull(r.AuthservID) {
		return answer.NewUsage(fmt.Errorf(
			"--authserv-id %q: it must be a full host name, such as mail.example.com, "+
				"since strangers' fields with this name are removed", r.AuthservID))
	}
	for _, n := range r.Networks {
		_, prefixErr := netip.ParsePrefix(n)
		if _, err := netip.ParseAddr(n); err != nil && prefixErr != nil {
			return answer.NewUsage(fmt.Errorf("--network %q is neither an address nor a network",
				n))
		}
	}
	for _, a := range r.Addresses {
		if _, err := netip.ParseAddr(a); err != nil {
			return answer.NewUsage(fmt.Errorf("--address %q is not an IP address", a))
		}
	}
	if r.Reports != "" && (!strings.Contains(r.Reports, "@") ||
		strings.ContainsAny(r.Reports, " ,;!\"<>")) {
		return answer.NewUsage(fmt.Errorf("--reports %q is not a mail address", r.Reports))
	}
	return nil
}
