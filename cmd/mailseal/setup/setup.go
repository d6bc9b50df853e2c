// Package setup implements "mailseal setup": it examines the host, asks for what it cannot find
// out, makes keys and a configuration, prints the records to publish, and, with --apply, adds
// Mailseal to the mail server and sends a test message that is not delivered.
package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/user"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/config/opendkim"
	"mailseal/keys/files"
	"mailseal/milter/dns"
	"mailseal/milter/domain"
)

// Options are the answers that the command line gives, and how the rest is asked.
type Options struct {
	Domains    []string
	Selector   string   // of new keys; "": the year and month
	Algorithms []string // of new keys; none: rsa and ed25519
	AuthservID string   // "": the mail server's name, else the host's
	Networks   []string // whose mail is ours; none: those of the mail server, else loopback
	Addresses  []string // that mail leaves from, for SPF; none: this host's public ones
	Reports    string   // address that DMARC reports are asked for at; "": none
	MTA        string   // postfix, sendmail or none; "": the one that is there

	Config   string // the file to write
	Postfix  string // directory of main.cf
	Sendmail string // directory of sendmail.mc
	SMTP     string // address that the test message is handed to, host:port

	Yes            bool // ask nothing
	JSON           bool
	Apply          bool
	Undo           bool
	IgnoreOpenDKIM bool          // set up from scratch although OpenDKIM or OpenDMARC is installed
	Wait           time.Duration // for the records to be published; 0: not

	In       io.Reader // a terminal, unless Yes
	Terminal bool      // In is one
	Out      io.Writer
	Resolver dns.Resolver // nil: the host's
	Now      func() time.Time

	OpenDKIM, OpenDMARC string // their configurations; "": where the programs have them

	State   string           // state_directory; "": the default
	Service *service.Service // whom keys belong to, if that is not to be found out
	UID     *int             // who runs the command, if that is not to be found out

	// Run runs a command of the host and returns what it printed; nil runs it.
	Run func(ctx context.Context, name string, args ...string) ([]byte, error)
}

// defaultFile is where the daemon looks for its configuration.
const defaultFile = "/etc/mailseal/mailseal.toml"

// Result lists what was found and done.
type Result struct {
	Host    Host     `json:"host"`
	Domains []string `json:"domains"`
	Files   []File   `json:"files"`
	Records []Record `json:"records"`
	Test    *Test    `json:"test,omitempty"`
	// in the order in which it was done; empty when nothing was to be done
	Done   []string `json:"done"`
	Todo   []string `json:"todo"` // what is left to the operator
	Faults []string `json:"faults"`
}

// File is a file right.
type File struct {
	Path  string `json:"path"`
	State string `json:"state"` // "written", "unchanged", "to be changed" or "left alone"
	Diff  string `json:"diff,omitempty"`
}

// run is one run.
type run struct {
	Options
	ctx     context.Context
	service service.Service
	result  Result
	old     string         // mailseal.toml as it was; "" for none
	isOwn   bool           // it is an administrator's, and left alone
	cfg     *config.Config // as it is at the end
	state   string         // state_directory
}

// Run sets a host up.
func Run(ctx context.Context, o Options) error {
	r := &run{Options: o, ctx: ctx, result: Result{
		Domains: []string{}, Files: []File{}, Records: []Record{}, Done: []string{},
		Todo: []string{}, Faults: []string{},
	}}
	if r.Now == nil {
		r.Now = time.Now
	}
	if r.Run == nil {
		r.Run = command
	}
	for _, dir := range []*string{&r.Postfix, &r.Sendmail} {
		if abs, err := filepath.Abs(*dir); *dir != "" && err == nil {
			*dir = abs // its files are read from / on
		}
	}
	r.state = cmp.Or(r.State, config.Default().StateDirectory)
	var err error
	if o.Undo {
		err = r.undo()
	} else {
		err = r.setup()
	}
	if printErr := r.finish(err == nil); printErr != nil {
		return printErr
	}
	if err == nil && len(r.result.Faults) > 0 {
		return answer.NewBad(nil)
	}
	return err
}

func (r *run) setup() error {
	if err := r.validateGiven(); err != nil {
		return err
	}
	if err := r.checkRights(); err != nil {
		return err
	}
	if err := r.look(); err != nil {
		return err
	}
	r.say("%s", r.result.Host.describe())
	if offered, err := r.offerImport(); offered || err != nil {
		return err
	}
	if err := r.ask(); err != nil {
		return err
	}
	if err := r.readConfig(); err != nil {
		return err
	}
	if err := r.user(); err != nil {
		return err
	}
	ready, err := r.configure()
	if err != nil {
		return err
	}
	if err := r.publish(); err != nil {
		return err
	}
	if r.Apply && r.Wait > 0 && r.missingKeys() {
		r.todo("the mail server was not connected: receivers would not find the keys that sign. " +
			"Run the same command again when the records are published")
		return nil
	}
	return r.mailServer(ready)
}

// offerImport says how to go on from OpenDKIM, which would otherwise sign beside us. It reports
// whether it did.
func (r *run) offerImport() (bool, error) {
	if r.result.Host.OpenDKIM == "" || r.IgnoreOpenDKIM || r.isOurs() {
		return false, nil
	}
	const out = "~/moving"
	r.todo("OpenDKIM is installed (%s). Import its keys and rules instead of making new ones:\n  "+
		"mailseal import-opendkim --out %s%s\n  mailseal check --config %[2]s/mailseal.toml "+
		"--no-mta\nRun Mailseal in front of it for a while before the switch, with the mail "+
		"server's setting pointing to the new port:\n  mailseal shadow --config "+
		"%[2]s/mailseal.toml --listen inet:8892@127.0.0.1 --upstream %[4]s\nSet up again all the "+
		"same, with new keys: mailseal setup --ignore-opendkim",
		r.result.Host.OpenDKIM, out, r.importFlags(), r.oldSocket())
	r.fault("nothing was set up, because OpenDKIM is installed")
	return true, nil
}

// importFlags name the files of the old programs, as far as "mailseal import-opendkim" does not
// find them by itself.
func (r *run) importFlags() string {
	flags, h := "", r.result.Host
	if h.OpenDKIM != defaultOpenDKIM {
		flags += " --conf " + files.Quote(h.OpenDKIM)
	}
	if h.OpenDMARC != "" {
		flags += " --dmarc-conf " + files.Quote(h.OpenDMARC)
	}
	return flags
}

// oldSocket is where OpenDKIM listens, a word for it when that cannot be found out.
func (r *run) oldSocket() string {
	const unknown = "SOCKET"
	found, err := opendkim.Import(opendkim.Options{Conf: r.result.Host.OpenDKIM,
		ID: r.result.Host.Name})
	if err != nil {
		return unknown
	}
	address := regexp.MustCompile(`(?m)^address = "([^"]+)"`).FindStringSubmatch(found.TOML)
	if address == nil {
		return unknown
	}
	return address[1]
}

// isOurs reports whether a configuration that signs is there, so that the import has been done or
// is not wanted.
func (r *run) isOurs() bool {
	c, err := config.LoadAny(r.Config)
	return err == nil && len(c.Sign) > 0
}

// checkRights refuses to begin as a user who could not end: keys belong to the user of the service.
func (r *run) checkRights() error {
	if r.Service != nil || r.euid() == 0 {
		return nil
	}
	svc, err := service.Detect("/", "", "")
	if err == nil && r.euid() == svc.UID {
		return nil
	}
	return answer.NewUnknown(fmt.Errorf("setup must be run as root (sudo mailseal setup ...): it "+
		"writes %s, and keys that belong to the user %s", r.Config, svc.Name))
}

// euid is the user of this process.
func (r *run) euid() int {
	if r.UID != nil {
		return *r.UID
	}
	return os.Geteuid()
}

// user makes sure that the user of the service is there, who the keys belong to.
func (r *run) user() error {
	if r.Service != nil {
		r.service = *r.Service
		return nil
	}
	svc, err := service.Detect("/", "", "")
	if errors.Is(err, service.ErrNoUser) && r.euid() == 0 {
		if err := r.makeUser(svc.Name); err != nil {
			return answer.NewUnknown(err)
		}
		svc, err = service.Detect("/", "", "")
	}
	if err != nil {
		return answer.NewUnknown(
			fmt.Errorf("%w; run setup as root, or create the user: useradd --system --user-group %s",
				err, svc.Name),
		)
	}
	r.service = svc
	return r.makeGroups()
}

// makeGroups makes the groups that the unit puts the service into and that are not there: without
// one of them systemd does not start it.
func (r *run) makeGroups() error {
	if r.service.Unit == nil || os.Geteuid() != 0 {
		return nil
	}
	for _, name := range strings.Fields(r.service.Unit.Get("SupplementaryGroups")) {
		if _, err := user.LookupGroup(name); err == nil {
			continue
		}
		if _, err := r.Run(r.ctx, "groupadd", "--system", name); err != nil {
			return answer.NewUnknown(fmt.Errorf("the group %s of the unit cannot be made: %w", name,
				err))
		}
		r.done("made the group %s", name)
	}
	return nil
}

func (r *run) makeUser(name string) error {
	if _, err := r.Run(r.ctx, "systemd-sysusers"); err == nil && service.Find(name).UID >= 0 {
		r.done("made the user %s", name)
		return nil
	}
	_, err := r.Run(r.ctx, "useradd", "--system", "--user-group", "--no-create-home",
		"--home-dir", r.state, "--shell", "/usr/sbin/nologin", name)
	if err != nil {
		return fmt.Errorf("the user %s cannot be made: %w", name, err)
	}
	r.done("made the user %s", name)
	return nil
}

// stateDirectory makes the state directory, which belongs to the service's user. Where that is not
// root, a process of the user makes what is below it.
func (r *run) stateDirectory() error {
	err := os.Mkdir(r.state, 0o700)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err == nil && os.Geteuid() == 0 {
		// never what the user put in its place
		err = os.Lchown(r.state, r.service.UID, r.service.GID)
	}
	return err
}

func (r *run) done(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.result.Done = append(r.result.Done, text)
	r.say("%s\n", text)
}

func (r *run) todo(format string, args ...any) {
	r.result.Todo = append(r.result.Todo, fmt.Sprintf(format, args...))
}

func (r *run) fault(format string, args ...any) {
	r.result.Faults = append(r.result.Faults, fmt.Sprintf(format, args...))
}

// say writes for people.
func (r *run) say(format string, args ...any) {
	if !r.JSON {
		fmt.Fprintf(r.Out, format, args...)
	}
}

// parsedDomains are the domains as A-labels.
func parsedDomains(names []string) ([]string, error) {
	var out []string
	for _, name := range names {
		d, err := domain.ParseMail(name)
		if err != nil {
			return nil, answer.NewUsage(err)
		}
		out = append(out, d.String())
	}
	return out, nil
}

// isPublic reports whether mail can leave for the internet from an address.
func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !a.IsLinkLocalUnicast()
}
