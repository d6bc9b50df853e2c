package reporting

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"mailseal/cmd/mailseal/answer"
	"mailseal/cmd/mailseal/jobs"
	"mailseal/config"
	"mailseal/milter/report/evidence"
	"mailseal/milter/report/send"
	"mailseal/milter/report/testmail"
)

// testsFile is the store of test mails in reports.directory, where hosts do not share
// reports.store.
const testsFile = "tests.db"

// collectEvery is how often the spool is looked at for test mails. A page that is asked for looks
// at once.
const collectEvery = 2 * time.Second

// testRole serves the pages of test mails, where test.page_url says so. It opens no report.
func testRole() Role {
	return Role{
		Name: "test",
		Doc:  "serves the pages of test mails, if test.page_url is set",
		Idle: unless(func(cfg *config.Config) bool { return cfg.Test.HasPages() },
			"test.address and test.page_url are not set"),
		Build: func(ctx context.Context, p *Process) (Part, error) {
			if !p.Config.Test.HasPages() {
				return Part{}, nil
			}
			t, err := p.openTests(ctx)
			if err != nil {
				return Part{}, err
			}
			return t.part(ctx)
		},
	}
}

// tests is the role at work.
type tests struct {
	*Process
	store *testmail.Store
	spool string

	answerer *testmail.Answerer // nil where no test is answered by mail

	collecting sync.Mutex
}

func (p *Process) openTests(ctx context.Context) (*tests, error) {
	spool := p.Config.Reports.SpoolDirectory
	if err := os.MkdirAll(spool, 0o770); err != nil {
		return nil, fmt.Errorf("reports.spool_directory: %w", err)
	}
	keep := time.Duration(p.Config.Test.Days) * day
	if isShared(p.Config) {
		s, err := testmail.OpenShared(ctx, p.Config.Reports.Store, keep)
		if err != nil {
			return nil, fmt.Errorf("reports.store: %w", err)
		}
		return &tests{Process: p, store: s, spool: spool}, nil
	}
	s, err := testmail.Open(ctx, filepath.Join(p.Config.Reports.Directory, testsFile), keep)
	if err != nil {
		return nil, fmt.Errorf("reports.directory: %w", err)
	}
	return &tests{Process: p, store: s, spool: spool}, nil
}

func (t *tests) part(ctx context.Context) (Part, error) {
	settings := t.Config.Test
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	if t.Config.AuthservID != "" {
		host = t.Config.AuthservID
	}
	handler, err := testmail.New(testmail.Config{
		Store: t.store, Refresh: t.collect, Address: settings.Address,
		URL:     strings.TrimRight(settings.PageURL, "/"),
		Answers: settings.AnswerByMail, Host: host, Version: t.Version,
		Keep: time.Duration(settings.Days) * 24 * time.Hour, Now: t.Now, Log: t.Log,
	})
	if err != nil {
		return Part{}, err
	}
	listener, err := listenPages(ctx, "test", config.ReportsWeb{
		Address: settings.PageAddress, Certificate: settings.Certificate, Key: settings.Key,
	}, t.Log)
	if err != nil {
		return Part{}, err
	}
	t.Log.Info("pages of test mails are served", "address", settings.PageAddress, "url",
		settings.PageURL)
	// Replies have a link from now on, since a page that is asked for looks into the spool itself.
	if err := evidence.Sign(t.spool, t.Now()); err != nil {
		return Part{}, fmt.Errorf("reports.spool_directory: %w", errors.Join(err, listener.Close()))
	}
	if settings.AnswerByMail {
		t.answers(&send.SMTP{Address: t.Config.Reports.SMTP, Helo: t.Config.ServerName()})
	}
	serve := func(ctx context.Context) error {
		defer t.store.Close()
		defer evidence.Unsign(t.spool)
		var answering sync.WaitGroup
		defer answering.Wait()
		ctx, stop := context.WithCancel(ctx)
		defer stop()
		if t.answerer != nil {
			answering.Go(func() { t.answerer.Run(ctx) })
		}
		return servePages(ctx, listener, handler)
	}
	return Part{Serve: serve, Jobs: []jobs.Job{
		{
			Name: "test_sign", Interval: every(evidence.SignEvery),
			Do: func(context.Context) error { return evidence.Sign(t.spool, t.Now()) },
		},
		{Name: "test_collect", Interval: every(collectEvery), Do: t.collect},
		{
			Name: "test_expire", Interval: every(time.Hour), First: every(time.Minute),
			Do: func(ctx context.Context) error { return t.store.Expire(ctx, t.Now()) },
		},
	}}, nil
}

// answers has tests answered by mail.
func (t *tests) answers(by send.Transport) {
	t.answerer = &testmail.Answerer{
		Store: t.store, Address: t.Config.Test.Address,
		URL: strings.TrimRight(t.Config.Test.PageURL, "/"),
		Now: t.Now, Log: t.Log, Transport: by,
	}
}

// collect reads the mails in the spool. Concurrent runs wait for each other, and none waits for the
// mail server: pages that are asked for collect, too.
func (t *tests) collect(ctx context.Context) error {
	t.collecting.Lock()
	defer t.collecting.Unlock()
	var answer func(evidence.Mail) error
	if t.answerer != nil {
		answer = t.answerer.Later
	}
	return t.store.Collect(ctx, t.spool, t.Log, answer)
}

// every is an interval that does not change.
func every(d time.Duration) func() time.Duration { return func() time.Duration { return d } }

// TestAddress prints a new address for tests, and the page of its mails.
func TestAddress(w io.Writer, cfg *config.Config, asJSON bool) error {
	if !cfg.Test.HasPages() {
		return answer.NewBad(errors.New("test mails have no pages: set test.address, " +
			"test.page_url and test.page_address"))
	}
	token := evidence.NewToken()
	address := testmail.With(cfg.Test.Address, token)
	page := strings.TrimRight(cfg.Test.PageURL, "/") + "/t/" + token
	if asJSON {
		return json.NewEncoder(w).Encode(struct {
			Address string `json:"address"`
			Page    string `json:"page"`
		}{address, page})
	}
	_, err := fmt.Fprintf(w, "write to  %s\nlook at   %s\n", address, page)
	return err
}
