package config

import (
	"io/fs"
	"net/netip"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"mailseal/milter/action"
)

// Reports configures the data that is kept for DMARC reports, and who receives reports.
type Reports struct {
	Collect      bool            `toml:"collect"`
	Send         bool            `toml:"send"`
	From         string          `toml:"from"` // an address; "": nothing can be sent
	Organization string          `toml:"organization"`
	Contact      string          `toml:"contact"`
	Addresses    []string        `toml:"addresses"` // address patterns
	Relation     action.Relation `toml:"relation"`
	// ".example.com": any domain below it
	Domains        []string                 `toml:"domains"`
	ExcludeDomains []string                 `toml:"exclude_domains"` // likewise
	Minimum        int                      `toml:"minimum"`
	PerHour        int                      `toml:"per_hour"`
	Disposition    action.PassedDisposition `toml:"disposition"`
	SMTP           string                   `toml:"smtp"` // host:port
	Directory      string                   `toml:"directory"`
	SpoolDirectory string                   `toml:"spool_directory"` // never empty once loaded
	SpoolSize      Size                     `toml:"spool_size"`
	SpoolDays      int                      `toml:"spool_days"`
	Store          string                   `toml:"store"` // never empty once loaded
	Metrics        string                   `toml:"metrics"`
	DNSEvery       time.Duration            `toml:"dns_every"`
	Failure        ReportsFailure           `toml:"failure"`
	Intake         ReportsIntake            `toml:"intake"`
	Web            ReportsWeb               `toml:"web"`
	Alerts         ReportsAlerts            `toml:"alerts"`
}

// ReportsAlerts configures who is alerted to findings in received reports, and when.
type ReportsAlerts struct {
	To         []string `toml:"to"` // addresses; none: nothing is mailed
	Digest     bool     `toml:"digest"`
	NewSource  int      `toml:"new_source"`  // messages
	SilentDays int      `toml:"silent_days"` // of a receiver
	QuietDays  int      `toml:"quiet_days"`  // after which an alert may come again
}

// ReportsFailure configures who receives reports about single messages that failed.
type ReportsFailure struct {
	// of addresses; ".example.com": any domain below it; none: no domain
	Domains []string `toml:"domains"`
	Subject bool     `toml:"subject"`
}

// ReportsIntake configures how reports are received.
type ReportsIntake struct {
	Address string      `toml:"address"` // path of the LMTP socket; never empty once loaded
	Mode    fs.FileMode `toml:"mode"`    // permission bits of the socket
	Group   string      `toml:"group"`   // group of the socket; "": ours
	// whose reports count; none: all; with Parked once loaded
	Domains     []string `toml:"domains"`
	Parked      []string `toml:"parked"` // that send no mail
	RefuseOther bool     `toml:"refuse_other"`
	// path of the socket for changes from the page; never empty once loaded
	Changes    string `toml:"changes"`
	RawDays    int    `toml:"raw_days"`
	RecordDays int    `toml:"record_days"`
	SumDays    int    `toml:"sum_days"`

	// of the addresses in reports are looked up
	ReverseNames     bool     `toml:"reverse_names"`
	AddressDatabases []string `toml:"address_databases"` // paths of .mmdb files
}

// ReportsWeb configures where the pages of reports are served, and to whom.
type ReportsWeb struct {
	Address     string         `toml:"address"` // host:port, or "unix:" and a path; "": nowhere
	Certificate string         `toml:"certificate"`
	Key         SecretFile     `toml:"key"`
	TokenFile   SecretFile     `toml:"token_file"`
	Htpasswd    SecretFile     `toml:"htpasswd"`
	ProxyHeader string         `toml:"proxy_header"`
	ProxyFrom   []netip.Prefix `toml:"proxy_from"`
	Accounts    []WebAccount   `toml:"account"`
	Groups      []WebGroup     `toml:"group"`
}

// WebGroup is a group of domains that the first page can be limited to.
type WebGroup struct {
	Name    string   `toml:"name"`
	Domains []string `toml:"domains"` // ".example.com": any domain below it
}

// WebAccount lists the rights of an account of the pages.
type WebAccount struct {
	Name    string   `toml:"name"`
	Role    string   `toml:"role"`
	Domains []string `toml:"domains"` // that it may see; empty: all
}

// ReportsControlName is the name of the control socket of "mailseal reports serve" in its
// directory.
const ReportsControlName = "control"

// Domain is that of From, "" without one.
func (r Reports) Domain() string { return r.From[strings.LastIndexByte(r.From, '@')+1:] }

// Takes returns a function that reports whether a domain that takes mail gets failure reports, nil
// where none does.
func (f ReportsFailure) Takes() func(host string) bool {
	if len(f.Domains) == 0 {
		return nil
	}
	return InTrees(f.Domains)
}

// InTrees reports of a domain whether a list has it; ".example.com" is any domain below it.
func InTrees(list []string) func(string) bool {
	return func(domain string) bool {
		for _, d := range list {
			if d == domain || strings.HasPrefix(d, ".") && strings.HasSuffix(domain, d) {
				return true
			}
		}
		return false
	}
}

// complete fills in what follows from Directory.
func (r *Reports) complete() {
	if r.SpoolDirectory == "" {
		r.SpoolDirectory = filepath.Join(r.Directory, "spool")
	}
	if r.Intake.Address == "" {
		r.Intake.Address = filepath.Join(r.Directory, "intake.sock")
	}
	if r.Intake.Changes == "" {
		r.Intake.Changes = filepath.Join(r.Directory, "changes.sock")
	}
	if r.Store == "" {
		r.Store = "sqlite:" + filepath.Join(r.Directory, "reports.db")
	}
	for _, d := range r.Intake.Parked {
		if len(r.Intake.Domains) > 0 && !slices.Contains(r.Intake.Domains, d) {
			r.Intake.Domains = append(r.Intake.Domains, d)
		}
	}
}
