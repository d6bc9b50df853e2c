package check

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"mailseal/cmd/mailseal/remedy"
	"mailseal/cmd/mailseal/service"
	"mailseal/keys"
	"mailseal/keys/keyfile"
	"mailseal/keys/keylife"
	"mailseal/milter/dns/dnstest"
	"mailseal/milter/keydns"
)

// remedyOf is a remedy that a code may come with. Mail servers' codes are not told apart.
type remedyOf struct {
	code Code
	kind remedy.Kind
}

// ofMailServers are the kinds that package mta makes, and whose execution its own test of all hosts
// accounts for.
var ofMailServers = []remedy.Kind{
	remedy.MainCF, remedy.MasterCF, remedy.SendmailMC, remedy.SendmailCF, remedy.SendmailPort,
	remedy.Setting,
	remedy.EditUnit, remedy.System, remedy.Several,
}

// remediesOfOthers are those that are not in the table of codes: of the import.
var remediesOfOthers = []remedyOf{
	{"import", remedy.GiveToGroup}, {"import", remedy.OpenTree}, {"import", remedy.OpenEach},
}

// TestRemedies applies every remedy to a copy, and sees that the finding is gone afterwards.
func TestRemedies(t *testing.T) {
	executed := map[remedyOf]bool{}
	t.Run("files", func(t *testing.T) { testFileRemedies(t, executed) })
	t.Run("rights", func(t *testing.T) { testRightsRemedies(t, executed) })
	t.Run("managed", func(t *testing.T) { testManagedRemedies(t, executed) })
	t.Run("identity", func(t *testing.T) { testIdentityRemedies(t, executed) })
	t.Run("records", func(t *testing.T) { testRecordRemedies(t, executed) })
	t.Run("labels", func(t *testing.T) { testLabelRemedy(t, executed) })
	t.Run("import", func(t *testing.T) { testImportRemedies(t, executed) })
	t.Run("mta", func(t *testing.T) { testMailServerRemedies(t, executed) })
	if t.Failed() {
		return
	}
	all := slices.Clone(remediesOfOthers)
	for _, r := range Codes() {
		for _, k := range r.Fixes {
			all = append(all, remedyOf{r.Code, k})
		}
	}
	for _, r := range all {
		if !executed[r] && !needsRoot(r) {
			t.Errorf("no test executes the remedy %s of %s", r.kind, r.code)
		}
	}
	for r := range executed {
		if !slices.Contains(all, r) && !strings.HasPrefix(string(r.code), "mta-") &&
			r.code != "mta" {
			t.Errorf("%s has a remedy %s that its row does not name", r.code, r.kind)
		}
	}
	for _, k := range remedy.Kinds() {
		isOfMTA := slices.Contains(ofMailServers, k)
		if !isOfMTA && !slices.ContainsFunc(all, func(r remedyOf) bool { return r.kind == k }) {
			t.Errorf("no finding comes with a remedy of kind %s", k)
		}
	}
}

// needsRoot reports whether this process lacks the rights that a remedy needs.
func needsRoot(r remedyOf) bool {
	switch r.kind {
	case remedy.ChangeOwner, remedy.GiveToGroup, remedy.OpenTree, remedy.OpenEach, remedy.LetIn,
		remedy.Copy, remedy.GiveToUser,
		remedy.MakeOwnDirectory:
		return os.Geteuid() != 0
	case remedy.AccessList:
		_, err := exec.LookPath("setfacl")
		return os.Geteuid() != 0 || err != nil
	}
	return false
}

// run gives a remedy to a shell, as it is printed.
func run(t *testing.T, r remedy.Remedy) {
	t.Helper()
	if !r.IsCommand() {
		t.Fatalf("%q is no command", r)
	}
	if out, err := exec.Command("sh", "-c", r.String()).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", r, err, out)
	}
}

func testFileRemedies(t *testing.T, executed map[remedyOf]bool) {
	chmod := func(name string, mode os.FileMode) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			if err := os.Chmod(s.path(name), mode); err != nil {
				t.Fatal(err)
			}
		}
	}
	inKeys := strings.Replace(listen+signing, "s.pem", "it's a directory/s.pem", 1)
	directory := func(spoil func(*testing.T, string)) func(*testing.T, *site) {
		return func(t *testing.T, s *site) {
			dir := s.path("it's a directory")
			if err := os.Mkdir(dir, 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.Rename(s.path("s.pem"), filepath.Join(dir, "s.pem")); err != nil {
				t.Fatal(err)
			}
			spoil(t, dir)
		}
	}
	mode := func(m os.FileMode) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Chmod(dir, m); err != nil {
				t.Fatal(err)
			}
		}
	}
	tests := []struct {
		name, toml string
		spoil      func(*testing.T, *site)
		code       Code
		root       bool
	}{
		{"a key for everybody to read", listen + signing, chmod("s.pem", 0o644), FileMode, false},
		{"a key for everybody to write", listen + signing, chmod("s.pem", 0o606), FileMode, false},
		{"keys in the configuration", listen + "[keys.t]\nselector = \"t\"\ndomain = " +
			"\"example.com\"\nprivate_key = \"YW4gRWQyNTUxOSBzZWVkIGhhcyAzMiBvY3RldHMuLi4=\"\n" +
			signing,
			chmod("mailseal.toml", 0o644), FileMode, false},
		{"a directory for everybody to write", inKeys, directory(mode(0o777)), DirectoryMode, false},
		{"a directory of another user", inKeys, directory(func(t *testing.T, dir string) {
			if err := os.Chown(dir, 12345, -1); err != nil {
				t.Fatal(err)
			}
		}), DirectoryOwner, true},
		{"no directory of a socket", strings.Replace(listen, "inet:8891@127.0.0.1",
			"unix:DIR/a/b c/m.sock", 1) + signing,
			func(*testing.T, *site) {}, SocketNoDirectory, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if tt.root && os.Geteuid() != 0 {
				t.Skip("only root gives files away")
			}
			s := newSite(t, tt.toml)
			if found, _ := s.check(t); tt.code != SocketNoDirectory &&
				slices.Contains(codes(found), tt.code) {
				t.Fatalf("got %v before anything is wrong", found)
			}
			tt.spoil(t, s)
			found, _ := s.check(t)
			if !slices.Contains(codes(found), tt.code) {
				t.Fatalf("got %v, want %s", found, tt.code)
			}
			for _, f := range found {
				run(t, f.Fix)
				executed[remedyOf{f.Code, f.Fix.Kind}] = true
			}
			if found, _ := s.check(t); len(found) > 0 {
				t.Errorf("got %v after all was mended", found)
			}
		})
	}
}

// testManagedRemedies runs commands of mailseal, which it builds.
func testManagedRemedies(t *testing.T, executed map[remedyOf]bool) {
	bin := t.TempDir()
	if out, err := exec.Command("go", "build", "-o", filepath.Join(bin, "mailseal"),
		"..").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	zone := dnstest.Must("example.com. IN NS ns.example.com.\nns.example.com. IN A 127.0.0.1")
	server, err := dnstest.Serve(zone, "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := newSite(t, "state_directory = \"DIR/state\"\n"+listen+
		"[[sign]]\nfrom = \"example.com\"\nmanaged = \"example.com\"\n"+
		"[rotation]\nalgorithms = \"ed25519\"\nservers = \""+server.Addr()+
		"\"\n[dns]\nservers = \""+server.Addr()+"\"\n")
	found, _ := s.check(t)
	if got := codes(found); !slices.Equal(got, []Code{StateUnread}) || found[0].Fix.Kind != "" ||
		!strings.Contains(found[0].Text, "mount its disk or correct state_directory") {
		t.Fatalf("got %+v about a directory that does not exist", found)
	}
	s.mkdir(t, "state")
	found, _ = s.check(t)
	if got := codes(found); !slices.Equal(got, []Code{ManagedNone}) {
		t.Fatalf("got %v", found)
	}
	run(t, found[0].Fix)
	executed[remedyOf{ManagedNone, found[0].Fix.Kind}] = true
	found, _ = s.check(t)
	if got := codes(found); !slices.Equal(got, []Code{ManagedWaiting}) ||
		found[0].Fix.Kind != remedy.RotateKey {
		t.Fatalf("got %v, want the key to wait for its next step", found)
	}
	state, err := keylife.Store{Dir: s.path("state")}.Read()
	if err != nil {
		t.Fatal(err)
	}
	record := state.Keys[0].Record()
	zone.AddTXT(record.Name, record.Text)
	run(t, found[0].Fix)
	executed[remedyOf{ManagedWaiting, found[0].Fix.Kind}] = true
	if found, _ = s.check(t); len(found) > 0 {
		t.Errorf("got %v after the record was published and the key rotated", found)
	}
	other := strings.ReplaceAll("state_directory = \"DIR/state\"\n"+listen+signing, "DIR", s.dir)
	s.write(t, "mailseal.toml", other, 0o640)
	if found, _ = s.check(t); !slices.Equal(codes(found), []Code{ManagedUnused}) ||
		!strings.Contains(found[0].Text, "the active keys of example.com") {
		t.Errorf("got %v about keys without a rule", found)
	}
}

// testRecordRemedies publishes and removes records of a zone as it is told.
func testRecordRemedies(t *testing.T, executed map[remedyOf]bool) {
	want, err := testKey().Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	vendor := keys.Record{Name: want.Name}
	long, pkcs1 := longRecord(t)
	const other = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
	const short = "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAKhPSTDs4cpKfnMc86fCCuEqGNyqZJD" +
		"kHBdKAkMBFxJJ+Bk3PmTvSMYPcDmxqQFFOdtXfVTNFPJ6NKE0gV0qc3cCAwEAAQ=="
	name, doubled := want.Name, want.Name+".example.com"
	half := len(want.Text) - 10
	tests := []struct {
		name string
		want keys.Record
		zone map[string][]string
		code Code
	}{
		{"nothing there", want, map[string][]string{}, DNSMissing},
		{"at a doubled name", want, map[string][]string{doubled: {want.Text}}, DNSMisplaced},
		{"a vendor's, at a doubled name", vendor, map[string][]string{doubled: {want.Text}}, DNSMisplaced},
		{"cut off", want, map[string][]string{name: {want.Text[:half]}}, DNSTruncated},
		{"another key", want, map[string][]string{name: {other}}, DNSWrongKey},
		{"a test", want, map[string][]string{name: {want.Text + "; t=y"}}, DNSTesting},
		{"revoked", want, map[string][]string{name: {"v=DKIM1; k=ed25519; p="}}, DNSRevoked},
		{"too short", want, map[string][]string{name: {short}}, DNSTooShort},
		{"two", want, map[string][]string{name: {other, want.Text}}, DNSSeveral},
		{"a vendor's, two", vendor, map[string][]string{name: {want.Text, want.Text + "; t=s"}}, DNSSeveral},
		{"an alias to nowhere", want, map[string][]string{name: {"CNAME"}}, DNSDangling},
		{"quotes", want, map[string][]string{name: {`"` + want.Text + `"`}}, DNSPasted},
		{"white space", want, map[string][]string{name: {" " + want.Text}}, DNSSpaced},
		{"for other services", want, map[string][]string{name: {want.Text + "; s=tlsrpt"}}, DNSExcluded},
		{"a name", want, map[string][]string{name: {"s1.vendor.example."}}, DNSTyped},
		{"PKCS#1", long, map[string][]string{name: {pkcs1}}, DNSOldForm},
		{"no record of a key", want, map[string][]string{name: {"v=spf1 -all"}}, DNSMalformed},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var view View
			look := func() []Finding {
				zone := dnstest.FromMap(tt.zone)
				if slices.Equal(tt.zone[name], []string{"CNAME"}) {
					zone = dnstest.Must(name + ". CNAME nowhere.example.")
				}
				view = keydns.Inspect(t.Context(), zone, tt.want, "example.com")
				return viewFindings(view)
			}
			found := look()
			for i, f := range found {
				if harms := view.Findings[i].Harms; harms != (f.Severity == Error) {
					t.Errorf("%s has severity %s, and harms: %v", f.Code, f.Severity, harms)
				}
			}
			if !slices.Contains(codes(found), tt.code) {
				t.Fatalf("got %v, want %s", found, tt.code)
			}
			for _, f := range found {
				apply(t, tt.zone, name, f.Fix)
				executed[remedyOf{f.Code, f.Fix.Kind}] = true
			}
			if found[0].Fix.Kind == remedy.Remove {
				tt.zone[name] = []string{want.Text} // the vendor does
			}
			if found := look(); len(found) > 0 {
				t.Errorf("got %v after all was mended", found)
			}
		})
	}
}

// apply does to a zone what a remedy says: it removes records, and publishes one in place of what
// is at its name.
func apply(t *testing.T, zone map[string][]string, name string, r remedy.Remedy) {
	t.Helper()
	text := r.String()
	if _, after, ok := strings.Cut(text, "remove the record at "); ok {
		wrong, _, _ := strings.Cut(after, ",")
		wrong = strings.TrimRight(wrong, ".")
		if len(zone[wrong]) == 0 {
			t.Fatalf("%s: there is no such record", r)
		}
		delete(zone, wrong)
	}
	if strings.HasPrefix(text, "remove all but one") && len(zone[name]) > 1 {
		zone[name] = zone[name][:1]
	}
	_, line, ok := strings.Cut(text, "publish: ")
	if !ok {
		return
	}
	published, err := dnstest.Load(strings.NewReader(line + "\n"))
	if err != nil {
		t.Fatalf("%s: %v", r, err)
	}
	for _, value := range txt(t, published, name) {
		zone[name] = []string{value}
	}
}

// testImportRemedies lets a group that owns nothing at keys, as the report of an import says.
func testImportRemedies(t *testing.T, executed map[remedyOf]bool) {
	if os.Geteuid() != 0 {
		t.Skip("only root gives files to a group that it is no member of")
	}
	s := newSite(t, listen+strings.ReplaceAll(signing, "s.pem", "DIR/closed/keys/s.pem"))
	dir := s.path("closed/keys")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(s.path("s.pem"), filepath.Join(dir, "s.pem")); err != nil {
		t.Fatal(err)
	}
	group := "54321"
	daemon := service.Service{Name: group, UID: 54321, GID: 54321, Groups: []int{54321}}
	files := []string{filepath.Join(dir, "s.pem")}
	for range 3 { // one finding at a time, the outermost first
		stops := daemon.Unreadable(files)
		if len(stops) == 0 {
			break
		}
		r := remedy.Access(group, stops)
		run(t, r)
		executed[remedyOf{"import", r.Kind}] = true
	}
	if stops := daemon.Unreadable(files); len(stops) > 0 {
		t.Errorf("stopped at %v after all was mended", stops)
	}
	var apart []string
	for range 2 {
		dir, err := os.MkdirTemp("", "mailseal-test")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		apart = append(apart, dir)
	}
	each := remedy.Access(group, apart)
	run(t, each)
	executed[remedyOf{"import", each.Kind}] = true
	if stops := daemon.Unreadable(apart); each.Kind != remedy.OpenEach || len(stops) > 0 {
		t.Errorf("%s: stopped at %v after all was mended", each.Kind, stops)
	}
	toml := s.path("mailseal.toml")
	if daemon.May(toml, 0o4) {
		t.Fatal("the configuration can be read already")
	}
	r := remedy.Group(group, toml)
	run(t, r)
	executed[remedyOf{"import", r.Kind}] = true
	if !daemon.May(toml, 0o4) {
		t.Error("the configuration cannot be read after all was mended")
	}
	if fs := keyfile.Check(filepath.Join(dir, "s.pem"), nil); slices.ContainsFunc(fs,
		func(f keyfile.Finding) bool { return f.Kind == keyfile.FileMode }) {
		t.Errorf("the key is open to others now: %v", fs)
	}
}

// longRecord returns the record of an RSA key, and a text that has the same key in the form of
// PKCS#1.
func longRecord(t *testing.T) (keys.Record, string) {
	t.Helper()
	signer, err := keys.Parse([]byte(longKey))
	if err != nil {
		t.Fatal(err)
	}
	k := testKey()
	k.Signer = signer
	record, err := k.Record(keys.RecordOptions{})
	if err != nil {
		t.Fatal(err)
	}
	der := x509.MarshalPKCS1PublicKey(signer.Public().(*rsa.PublicKey))
	return record, "v=DKIM1; k=rsa; p=" + base64.StdEncoding.EncodeToString(der)
}
