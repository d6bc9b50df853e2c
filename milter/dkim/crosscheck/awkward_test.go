package crosscheck_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	msgauth "github.com/emersion/go-msgauth/dkim"

	"mailseal/milter/dkim"
	"mailseal/milter/dkim/crosscheck"
)

// variant is one of the ways in which each awkward message is signed.
type variant struct {
	file    string
	raw     []byte
	key     dkim.Key
	options dkim.SignOptions
}

func (v variant) String() string {
	return fmt.Sprintf("%s %s/%s %s", v.file, form(v.options.SimpleHeader),
		form(v.options.SimpleBody), v.key.Selector)
}

// variants returns the awkward messages in 4 canonicalizations and 2 algorithms.
func variants(t testing.TB) []variant {
	t.Helper()
	files, _ := filepath.Glob(vectors + "awkward/*.eml")
	if len(files) == 0 {
		t.Skip("no awkward messages: ../shared is absent")
	}
	var all []variant
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for form := range 4 {
			for _, k := range keys() {
				o := dkim.SignOptions{Time: signTime, SimpleHeader: form&1 != 0,
					SimpleBody: form&2 != 0}
				all = append(all, variant{filepath.Base(file), wire(raw), k, o})
			}
		}
	}
	return all
}

// wire returns a message as SMTP carries it: when it has no CRLF at all, its line ends are LF.
func wire(raw []byte) []byte {
	if bytes.Contains(raw, []byte("\r\n")) {
		return raw
	}
	return bytes.ReplaceAll(raw, []byte("\n"), []byte("\r\n"))
}

// signed returns v with our signature on top.
func (v variant) signed(t testing.TB) []byte {
	t.Helper()
	m := read(t, v.raw, v.options)
	f, err := dkim.Sign(m.Header, m.Body, v.key, v.options)
	if err != nil {
		t.Fatalf("%s: %v", v, err)
	}
	return append(append(f.Raw(), "\r\n"...), v.raw...)
}

// exceptions are the messages that another implementation judges wrongly in at least one variant,
// with its bug.
type exceptions map[string]string

// check reports a failure of the other implementation that is not expected.
func (e exceptions) check(t *testing.T, v variant, why string) {
	t.Helper()
	if e[v.file] == "" {
		t.Errorf("%s: %s", v, why)
	}
}

// used reports the expected failures that did not happen.
func (e exceptions) used(t *testing.T, seen map[string]bool) {
	t.Helper()
	for file, bug := range e {
		if !seen[file] {
			t.Errorf("%s passes, though it is listed: %s", file, bug)
		}
	}
}

var msgauthExceptions = exceptions{
	"32-bare-cr-header.eml": "takes a bare CR for white space",
	"33-bare-cr-body.eml":   "takes a bare CR for a line end",
	"34-bare-cr-end.eml":    "takes a bare CR for a line end",
	"35-bare-lf-body.eml":   "takes a bare LF for a line end",
	"36-mixed-lf.eml":       "takes a bare LF for a line end",
}

var dkimpyExceptions = exceptions{
	"23-wsp-before-colon.eml":     "refuses white space before a colon",
	"35-bare-lf-body.eml":         "takes a bare LF for a line end",
	"36-mixed-lf.eml":             "takes a bare LF for a line end",
	"49-trailing-wsp-no-crlf.eml": "relaxed: drops the white space of a last line without CRLF, but adds the CRLF",
}

func TestWeSignTheyVerify(t *testing.T) {
	failed := map[string]bool{}
	for _, v := range variants(t) {
		opinions, err := crosscheck.Message(t.Context(), v.signed(t), lookup(zone()))
		switch {
		case err != nil:
			failed[v.file] = true
			msgauthExceptions.check(t, v, err.Error())
		case len(opinions) == 0 || opinions[0].Value != crosscheck.Pass:
			t.Errorf("%s: %v", v, opinions)
		}
	}
	msgauthExceptions.used(t, failed)
}

func TestTheySignWeVerify(t *testing.T) {
	for _, v := range variants(t) {
		if msgauthExceptions[v.file] != "" {
			continue // it signs wrongly what it judges wrongly
		}
		var out bytes.Buffer
		options := &msgauth.SignOptions{
			Domain: "example.com", Selector: v.key.Selector, Signer: v.key.Signer,
			HeaderKeys:             []string{"From", "From", "To", "Subject", "X-Absent"},
			HeaderCanonicalization: form(v.options.SimpleHeader), BodyCanonicalization: form(v.options.SimpleBody),
		}
		if err := msgauth.Sign(&out, bytes.NewReader(v.raw), options); err != nil {
			t.Fatalf("%s: %v", v, err)
		}
		want := dkim.Pass
		// its two To differ, and h= names To once: the upper one is not signed
		if v.file == "44-dup-to.eml" {
			want = dkim.Policy
		}
		if results := judge(t, zone(), out.Bytes()); len(results) == 0 || results[0].Value != want {
			t.Errorf("%s: %v, want %s", v, results, want)
		}
	}
}

func form(simple bool) msgauth.Canonicalization {
	if simple {
		return msgauth.CanonicalizationSimple
	}
	return msgauth.CanonicalizationRelaxed
}

// python is the script that lets dkimpy judge and sign; see its head.
const python = "testdata/dkimpy.py"

// pythonJob is one line for the script, pythonAnswer its answer.
type (
	pythonJob struct {
		Do, Message           string // "verify" or "sign"; the message in base64
		Records               map[string]string
		Selector, Key, Header string
		Body                  string
		Algorithm             string
	}
	pythonAnswer struct{ Result, Error string }
)

// runPython starts the script with the interpreter that knows dkimpy. MAILSEAL_TEST_ROOT may hold
// unpacked packages.
func runPython(t *testing.T, jobs []pythonJob) []pythonAnswer {
	t.Helper()
	var in, out bytes.Buffer
	encoder := json.NewEncoder(&in)
	for _, j := range jobs {
		if err := encoder.Encode(j); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), interpreter(t), python)
	cmd.Env = append(os.Environ(), pythonPath()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, os.Stderr
	if err := cmd.Run(); err != nil {
		t.Fatal(err)
	}
	var answers []pythonAnswer
	for lines := bufio.NewScanner(&out); lines.Scan(); {
		var a pythonAnswer
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			t.Fatal(err)
		}
		answers = append(answers, a)
	}
	if len(answers) != len(jobs) {
		t.Fatalf("%d answers to %d jobs", len(answers), len(jobs))
	}
	return answers
}

func pythonPath() []string {
	root := os.Getenv("MAILSEAL_TEST_ROOT")
	if root == "" {
		return nil
	}
	return []string{"PYTHONPATH=" + filepath.Join(root, "usr/lib/python3/dist-packages")}
}

// interpreter finds a Python with dkimpy: Debian's own before another one in the path.
func interpreter(t *testing.T) string {
	t.Helper()
	for _, name := range []string{"/usr/bin/python3", "python3"} {
		cmd := exec.CommandContext(t.Context(), name, "-c", "import dkim, nacl")
		cmd.Env = append(os.Environ(), pythonPath()...)
		if cmd.Run() == nil {
			return name
		}
	}
	t.Skip("no dkimpy: python3-dkim and python3-nacl are not installed, nor under MAILSEAL_TEST_ROOT")
	return ""
}

func records() map[string]string {
	texts := map[string]string{}
	for _, k := range keys() {
		texts[k.Selector+"._domainkey.example.com."] = record(k.Signer)
	}
	return texts
}

func TestWeSignDkimpyVerifies(t *testing.T) {
	all := variants(t)
	jobs := make([]pythonJob, len(all))
	for i, v := range all {
		jobs[i] = pythonJob{Do: "verify", Message: base64.StdEncoding.EncodeToString(v.signed(t)),
			Records: records()}
	}
	failed := map[string]bool{}
	for i, a := range runPython(t, jobs) {
		if a.Result != "pass" {
			failed[all[i].file] = true
			dkimpyExceptions.check(t, all[i], "dkimpy: "+a.Result+" "+a.Error)
		}
	}
	dkimpyExceptions.used(t, failed)
}

func TestDkimpySignsWeVerify(t *testing.T) {
	all := variants(t)
	jobs := make([]pythonJob, len(all))
	for i, v := range all {
		jobs[i] = pythonJob{
			Do: "sign", Message: base64.StdEncoding.EncodeToString(v.raw), Selector: v.key.Selector,
			Key:    keyText(v.key.Signer),
			Header: string(form(v.options.SimpleHeader)), Body: string(form(v.options.SimpleBody)),
			Algorithm: map[string]string{"rsa": "rsa-sha256", "ed": "ed25519-sha256"}[v.key.Selector],
		}
	}
	failed := map[string]bool{}
	for i, a := range runPython(t, jobs) {
		field, err := base64.StdEncoding.DecodeString(a.Result)
		if err != nil {
			t.Fatal(err)
		}
		if a.Error == "" {
			results := judge(t, zone(), append(field, all[i].raw...))
			if len(results) > 0 && results[0].Value == dkim.Pass {
				continue
			}
			a.Error = "we do not verify dkimpy's signature"
		}
		failed[all[i].file] = true
		dkimpyExceptions.check(t, all[i], a.Error)
	}
	dkimpyExceptions.used(t, failed)
}
