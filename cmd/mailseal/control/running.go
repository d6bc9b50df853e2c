package control

import "time"

// Running is how a daemon is. Every list in it is bounded, so that an answer always fits.
type Running struct {
	Version     string       `json:"version"` // of the program
	PID         int          `json:"pid"`
	Started     time.Time    `json:"started"`
	Config      string       `json:"config"` // the file
	ConfigSince time.Time    `json:"config_since"`
	Listeners   []string     `json:"listeners"`
	MTAs        []MTA        `json:"mtas"`
	Today       Today        `json:"today"`
	Keys        Keys         `json:"keys"`
	Sources     []Source     `json:"sources"`
	NameServers []NameServer `json:"name_servers"`
	Log         Log          `json:"log"`
	Jobs        []Job        `json:"jobs"`
	// of the process of reports, where hosts share a store
	Leads []Lead `json:"leads,omitempty"`
	// of the process of reports, where rows are collected
	Spool *Spool `json:"spool,omitempty"`
}

// Spool is the state of the spool: data that waits to be added to the store of reports.
type Spool struct {
	Segments int64     `json:"segments"`
	Bytes    int64     `json:"bytes"`
	Room     int64     `json:"room"` // bytes that it may hold
	Oldest   time.Time `json:"oldest,omitzero"`
}

// Lead is a task that one of several hosts with a shared store does for all of them.
type Lead struct {
	Lease string    `json:"lease"` // "send", "intake", "dns"
	Host  string    `json:"host"`  // "": no host does it now
	Here  bool      `json:"here"`  // it is this process
	Since time.Time `json:"since,omitzero"`
}

// MTA is an address from which mail servers connect.
type MTA struct {
	Listener    string `json:"listener"`
	Peer        string `json:"peer"` // an IP address, or "local" for a unix socket
	Connections int    `json:"connections"`
	Busy        int    `json:"busy"` // of them, those with a message in progress
}

// Today counts what has happened since midnight, UTC, or since the start if that was later.
type Today struct {
	Since      time.Time `json:"since"`
	Messages   []Count   `json:"messages"`   // by role and action
	Results    []Count   `json:"results"`    // by method and result
	Signatures []Count   `json:"signatures"` // by algorithm
	Unsigned   []Count   `json:"unsigned"`   // messages of ours without a signature, by reason
}

// Count is a number and what it counts.
type Count struct {
	Of     string `json:"of"`               // the role, method, algorithm or reason
	Result string `json:"result,omitempty"` // the action or result
	Count  uint64 `json:"count"`
}

// Keys are those that sign, as the DNS showed them when it was last asked.
type Keys struct {
	// rotation.watch is set, so that the DNS is asked from time to time
	Watched bool      `json:"watched"`
	Asked   time.Time `json:"asked,omitzero"`
	Good    int       `json:"good"`
	Bad     int       `json:"bad"`
	Unknown int       `json:"unknown"`
	List    []Key     `json:"list"` // the bad ones first; at most 200
}

// Key is one key that signs.
type Key struct {
	Name string `json:"name"` // of the DNS record
	// when it was generated or its file was written, if that is known
	Made   time.Time `json:"made,omitzero"`
	DNS    string    `json:"dns"`              // "good", "bad", "unknown", or "not asked yet"
	Reason string    `json:"reason,omitempty"` // why it is not good
	Stage  string    `json:"stage,omitempty"`  // of a managed key
}

// Source is a database or web service with keys.
type Source struct {
	Name     string `json:"name"`
	Away     bool   `json:"away"`
	Entries  int    `json:"entries"` // remembered answers
	Bytes    int    `json:"bytes"`
	Hits     uint64 `json:"hits"`
	Misses   uint64 `json:"misses"`
	Failures uint64 `json:"failures"`
	Broken   int    `json:"broken"` // rows that could not be used when they were asked for last
}

// NameServer is a name server that the daemon asks.
type NameServer struct {
	Address string  `json:"address"`
	Queries uint64  `json:"queries"`
	Silent  uint64  `json:"silent"`  // of them, those that got no reply in time
	MeanMS  float64 `json:"mean_ms"` // of the latest replies, in milliseconds, 0 before the first
	Dead    bool    `json:"dead"`    // it did not reply lately, and is asked last
}

// Log summarizes the errors and warnings that the daemon logged.
type Log struct {
	Errors   uint64 `json:"errors"`   // since the start of the day or of the daemon
	Warnings uint64 `json:"warnings"` // the same
	// the latest errors, and then the latest warnings, each the latest first
	Last []Record `json:"last"`
}

// Record is a line of the log.
type Record struct {
	Time  time.Time `json:"time"`
	Level string    `json:"level"`
	Text  string    `json:"text"`
}

// Job is how one of the daemon's jobs is. Times are zero before its first run, and where none is
// due.
type Job struct {
	Name    string    `json:"name"`
	Running bool      `json:"running,omitempty"`
	Last    time.Time `json:"last,omitzero"`
	Next    time.Time `json:"next,omitzero"`
	Error   string    `json:"error,omitempty"` // of the last run
}
