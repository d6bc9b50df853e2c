package check

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"mailseal/cmd/mailseal/assembly"
	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
	"mailseal/config"
	"mailseal/keys/keyfile"
)

// ErrAs is in the error of Run about a user Options.As with whose rights files cannot be judged.
var ErrAs = errors.New("no files can be opened as that user")

// findService finds out with whose rights files are to be judged: with those of the daemon's user
// if we are root, who may read everything. Otherwise it finds out whether we are that user. If not,
// a file that we cannot read says nothing about the daemon.
func (c *checker) findService() error {
	if c.Service != nil {
		c.service = c.Service
		return nil
	}
	if os.Geteuid() != 0 {
		if c.As != "" {
			return fmt.Errorf("%w: only root can open files as user %s", ErrAs, c.As)
		}
		s, err := service.Detect("/", "", c.cfg.User)
		if c.isGuest = err != nil || s.UID != os.Geteuid(); c.isGuest && err == nil {
			c.daemon = &s
		}
		return nil
	}
	s, err := service.Detect("/", c.As, c.cfg.User)
	switch {
	case err == nil && s.UID != 0:
		c.service = &s
	case err != nil && c.As != "":
		return fmt.Errorf("%w: user %q does not exist on this host", ErrAs, c.As)
	case err != nil:
		c.result.Judged = fmt.Sprintf("as root, who may read all of them, since user %s does not "+
			"exist on this host", s.Name)
	}
	return nil
}

// denied reports that a file could not be looked at because we are neither root nor the daemon's
// user, and returns false where that is not what happened.
func (c *checker) denied(setting place, path string, err error) bool {
	if !c.isGuest || !errors.Is(err, fs.ErrPermission) {
		return false
	}
	if c.deniedBefore == nil {
		c.deniedBefore = map[string]bool{}
	}
	if !c.deniedBefore[path] {
		c.deniedBefore[path] = true
		c.report(finding(NotChecked, setting, path, remedy.Self().User))
	}
	return true
}

// reader is who has to read files, for remedies.
func (c *checker) reader() remedy.Reader {
	s := c.service
	if s == nil {
		s = c.daemon
	}
	switch {
	case s == nil && c.isGuest:
		return remedy.Reader{}
	case s == nil:
		return remedy.Self()
	}
	return readerOf(*s)
}

// readerOf is a user for remedies.
func readerOf(s service.Service) remedy.Reader {
	return remedy.Reader{User: s.Name, Group: s.GroupName(), UID: s.UID,
		Groups: append([]int{s.GID}, s.Groups...)}
}

// asReader is the same for package keyfile, nil for this process.
func (c *checker) asReader() *keyfile.Reader {
	switch {
	case c.service != nil:
		return c.service.Reader()
	case c.daemon != nil:
		return c.daemon.Reader()
	case c.isGuest:
		return &keyfile.Reader{IsOwner: true}
	}
	return nil
}

// probe has the daemon's user try all that the configuration names, and reports what it cannot do
// but for the keys, which come with the others that cannot be used.
func (c *checker) probe(ctx context.Context) error {
	if c.service == nil {
		return nil
	}
	wants := c.wants()
	judged, err := c.service.Probe(ctx, slices.Collect(maps.Keys(wants)))
	if err != nil {
		return err
	}
	c.result.Judged = judged.How
	c.stops = map[string]service.Stop{}
	slices.SortFunc(judged.Stops, func(a, b service.Stop) int {
		return strings.Compare(a.Path, b.Path)
	})
	for _, stop := range judged.Stops {
		if _, err := os.Stat(stop.Path); err != nil {
			continue // it is not there, which is another finding
		}
		if _, known := c.stops[stop.Path]; known {
			continue
		}
		c.stops[stop.Path] = stop
		if report := wants[stop.Want]; report != nil {
			report(stop)
		}
	}
	return nil
}

// wants are the files and directories that the daemon needs, each with what reports that it is not
// available.
func (c *checker) wants() map[service.Want]func(service.Stop) {
	out := map[service.Want]func(service.Stop){}
	read := func(path string, report func(service.Stop)) {
		if path != "" {
			out[service.Want{Path: absolute(path)}] = report
		}
	}
	for name, k := range c.cfg.Keys {
		if !k.IsPerDomain() {
			read(k.File, nil) // keyFile reports it
			continue
		}
		for _, of := range c.ownKeys(name) {
			read(of.path, c.closed(c.keySetting(name, "file")))
		}
	}
	for _, path := range append(slices.Clone(c.cfg.Files), tableFiles(c.cfg)...) {
		read(path, c.closed(place{file: path}))
	}
	for _, s := range c.cfg.Sources {
		for setting, path := range map[string]string{
			"token_file": string(s.TokenFile), "client_key": string(s.ClientKey),
			"client_certificate": s.ClientCertificate, "ca_file": s.CAFile,
		} {
			read(path, c.closed(at(s.Problem(setting, ""))))
		}
	}
	for _, l := range c.cfg.Listen {
		if l.Network == "unix" {
			out[service.Want{Path: filepath.Dir(l.Target), Write: true}] = c.closedDirectory(
				at(l.Problem("address", "")),
			)
		}
	}
	if c.cfg.Reports.Collect {
		out[service.Want{Path: c.cfg.Reports.SpoolDirectory, Write: true}] = c.closedSpool
	}
	if assembly.ManagesKeys(c.cfg) {
		setting := c.stateSetting()
		out[service.Want{Path: c.cfg.StateDirectory, Write: true}] = c.closedState(setting)
		read(filepath.Join(c.cfg.StateDirectory, "keys.json"), c.closedState(setting))
	}
	return out
}

// tableFiles are OpenDKIM's tables that the configuration names.
func tableFiles(cfg *config.Config) []string {
	var out []string
	for _, table := range []string{cfg.KeyTable, cfg.SigningTable} {
		_, path, _ := strings.Cut(table, ":")
		if path == "" {
			continue
		}
		if !filepath.IsAbs(path) && len(cfg.Files) > 0 {
			path = filepath.Join(filepath.Dir(cfg.Files[0]), path)
		}
		out = append(out, path)
	}
	return out
}

// absolute is a path for the child process, which runs in another directory. Paths in a
// configuration are relative to its directory, which may have been given as a relative path itself.
func absolute(path string) string {
	if abs, err := filepath.Abs(path); err == nil {
		return abs
	}
	return path
}

// stopAt returns where the daemon's user is stopped on its way to a file.
func (c *checker) stopAt(path string) (service.Stop, bool) {
	if path == "" {
		return service.Stop{}, false
	}
	s, isStopped := c.stops[absolute(path)]
	return s, isStopped
}

// stopped describes where a user lacks access, and why.
func (c *checker) stopped(s service.Stop) string {
	if s.By != "" {
		return s.By + " keeps it from the daemon"
	}
	return fmt.Sprintf("user %s has no access to %s (%s)", c.service.Name, s.At, s.Err)
}

// closed reports files that are read.
func (c *checker) closed(setting place) func(service.Stop) {
	return func(s service.Stop) {
		f := finding(FileClosed, setting, s.Path, c.stopped(s))
		if s.By == "" {
			f.Fix = remedy.LetReadFile(c.reader(), c.allStops(s))
		}
		c.report(f)
	}
}

// closedDirectory reports directories of sockets.
func (c *checker) closedDirectory(setting place) func(service.Stop) {
	return func(s service.Stop) {
		f := finding(SocketDirectoryClosed, setting, s.Path, c.stopped(s))
		f.Fix = c.otherSocket(setting)
		if isOwn := strings.Contains(filepath.Base(s.Path), "mailseal"); isOwn && s.By == "" &&
			s.At == s.Path {
			f.Fix = remedy.DirectoryFor(c.reader(), s.Path)
		}
		c.report(f)
	}
}

// otherSocket has systemd make a socket that the daemon itself may not make, or has the daemon
// listen at a port.
func (c *checker) otherSocket(setting place) remedy.Remedy {
	for i, l := range c.cfg.Listen {
		if l.Network != "unix" || at(l.Problem("address", "")) != setting {
			continue
		}
		section := fmt.Sprintf("listen[%d]", i)
		if service.FindUnit("/", remedy.SocketUnit) != nil {
			return remedy.UnitSocket(section, l.Target)
		}
		return remedy.Port(section, c.freePort())
	}
	return remedy.Remedy{}
}

// freePort is the customary port, or the next one that no other socket of the configuration has.
func (c *checker) freePort() string {
	const first = 8891
	for port := first; ; port++ {
		has := func(l config.Listener) bool {
			return strings.HasSuffix(l.Target, fmt.Sprintf(":%d", port))
		}
		if !slices.ContainsFunc(c.cfg.Listen, has) {
			return fmt.Sprint(port)
		}
	}
}

// closedState reports a state directory that the daemon cannot use.
func (c *checker) closedState(setting place) func(service.Stop) {
	return func(s service.Stop) {
		f := finding(StateClosed, setting, s.Path, c.stopped(s))
		if s.By == "" && belongsToRoot(s.At) &&
			strings.HasPrefix(s.At+"/", c.cfg.StateDirectory+"/") {
			f.Fix = remedy.GiveDirectory(c.reader(), c.cfg.StateDirectory)
		}
		c.report(f)
	}
}

// allStops are the one place at which the user is really stopped, and those behind it at which it
// would be.
func (c *checker) allStops(s service.Stop) []string {
	out := []string{s.At}
	for _, path := range c.service.Stops(s.Path) {
		if path != s.At && strings.HasPrefix(path, s.At+"/") {
			out = append(out, path)
		}
	}
	return out
}

// unreadable is the finding about a key that the daemon's user cannot read, false when it can.
func (c *checker) unreadable(name string) (Finding, bool) {
	k := c.cfg.Keys[name]
	s, isStopped := c.stopAt(k.File)
	if k.File == "" || !isStopped {
		return Finding{}, false
	}
	f := finding(KeyUnreadable, c.keySetting(name, "file"), k.File+": "+c.stopped(s))
	f.Fix = remedy.LetRead(c.reader(), c.allStops(s), c.copyOf(name))
	if s.By != "" {
		f.Fix = remedy.CopyKey(c.reader(), c.copyOf(name))
	}
	return f, true
}

// copyOf returns where the daemon's separate copy of a key would be.
func (c *checker) copyOf(name string) remedy.Key {
	k := c.cfg.Keys[name]
	setting := c.keySetting(name, "file").setting
	line := ""
	switch {
	case k.File == "" || c.cfg.KeyTable != "":
		return remedy.Key{File: absolute(k.File)} // a table names it
	case strings.HasPrefix(setting, "key_file"):
		line = "key_file = %q  # mailseal.toml"
	default:
		line = "file = %q  # mailseal.toml, [keys." + quoteKey(name) + "]"
	}
	domain := k.Domain
	if domain == "%" || domain == "" {
		domain = "any"
	}
	dir := filepath.Join(c.cfg.StateDirectory, "keys", domain)
	path := filepath.Join(dir, k.Selector+".pem")
	for i := 2; path == k.File || exists(path); i++ {
		path = filepath.Join(dir, fmt.Sprintf("%s-%d.pem", k.Selector, i))
	}
	return remedy.Key{File: absolute(k.File), Copy: path, Setting: fmt.Sprintf(line, path)}
}

// keySetting is the place of a setting of a key. The key of the short way to sign has one setting
// alone, key_file.
func (c *checker) keySetting(name, setting string) place {
	k := c.cfg.Keys[name]
	if whole := at(k.Problem("", "")); whole.setting == "key_file" {
		return whole
	}
	return at(k.Problem(setting, ""))
}

func quoteKey(name string) string { return fmt.Sprintf("%q", name) }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

// ProbeCommand is the name of the command that Probe is, which a check by root starts as another
// user.
const ProbeCommand = service.ProbeCommand

// Probe tries to open the files that in names, and writes to out which of them it could not.
func Probe(in io.Reader, out io.Writer) error { return service.Child(in, out) }

func belongsToRoot(path string) bool { return service.OwnerUID(path) == 0 }
