package action

// The tables below hold the action for each result of a method, under the names that the settings
// have. A pass is always accepted. For a result that a table does not know, For returns an invalid
// Action: the message is deferred.

// SPF configures the actions for SPF results.
type SPF struct {
	Fail     Action `toml:"fail"`
	Softfail Action `toml:"softfail"`
	// none and neutral, which must be treated alike (RFC 7208 section 8.2)
	None      Action `toml:"none"`
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
	HeloFail  Action `toml:"helo_fail"` // fail of HELO; any other result of HELO is accepted
}

// For returns the action for a result of MAIL FROM.
func (s SPF) For(result string) Action {
	switch result {
	case "pass":
		return Accept
	case "fail":
		return s.Fail
	case "softfail":
		return s.Softfail
	case "none", "neutral":
		return s.None
	case "permerror":
		return s.Permerror
	case "temperror":
		return s.Temperror
	}
	return 0
}

// ForHelo returns the action for a result of HELO. Only a fail has a setting: no other result says
// that the client has no right to the name.
func (s SPF) ForHelo(result string) Action {
	switch result {
	case "fail":
		return s.HeloFail
	case "pass", "softfail", "none", "neutral", "permerror", "temperror":
		return Accept
	}
	return 0
}

// IPRev configures the actions for results of the client's reverse DNS.
type IPRev struct {
	Fail      Action `toml:"fail"`
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
}

// For returns the action for a result.
func (i IPRev) For(result string) Action {
	switch result {
	case "pass":
		return Accept
	case "fail":
		return i.Fail
	case "permerror":
		return i.Permerror
	case "temperror":
		return i.Temperror
	}
	return 0
}

// DKIM configures the actions for the best result of a message's signatures.
type DKIM struct {
	Fail      Action `toml:"fail"`
	Policy    Action `toml:"policy"`
	Neutral   Action `toml:"neutral"`
	None      Action `toml:"none"`
	Permerror Action `toml:"permerror"`
	Temperror Action `toml:"temperror"`
}

// For returns the action for the best result, "none" for a message without signatures.
func (d DKIM) For(result string) Action {
	switch result {
	case "pass":
		return Accept
	case "fail":
		return d.Fail
	case "policy":
		return d.Policy
	case "neutral":
		return d.Neutral
	case "none":
		return d.None
	case "permerror":
		return d.Permerror
	case "temperror":
		return d.Temperror
	}
	return 0
}

// DMARC configures the actions for DMARC results; a failure is treated by the policy that
// the author's domain requests.
type DMARC struct {
	Reject     Action `toml:"p_reject"`
	Quarantine Action `toml:"p_quarantine"`
	None       Action `toml:"p_none"`
	NoRecord   Action `toml:"no_record"`
	Permerror  Action `toml:"permerror"`
	Temperror  Action `toml:"temperror"`
}

// For returns the action for a result, and for a fail that for the disposition that the domain asks
// for.
func (d DMARC) For(result, disposition string) Action {
	switch result {
	case "pass":
		return Accept
	case "fail":
		return d.forFail(disposition)
	case "none":
		return d.NoRecord
	case "permerror":
		return d.Permerror
	case "temperror":
		return d.Temperror
	}
	return 0
}

func (d DMARC) forFail(disposition string) Action {
	switch disposition {
	case "reject":
		return d.Reject
	case "quarantine":
		return d.Quarantine
	case "none":
		return d.None
	}
	return 0
}
