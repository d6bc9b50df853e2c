package remedy

import (
	"mailseal/keys"
	"mailseal/milter/keydns"
)

// Generate begins the first key of a domain whose keys Mailseal manages. Config is the
// configuration file, "" for the default one.
func Generate(config, domain string) Remedy {
	return of(GenerateKey, configFlag(config), quote(domain))
}

// Rotate is the remedy that takes the step of a domain's keys that is due, and prints what the
// others wait for.
func Rotate(config, domain string) Remedy {
	return of(RotateKey, configFlag(config), quote(domain))
}

func configFlag(path string) string {
	if path == "" {
		return ""
	}
	return " --config " + quote(path)
}

// Record corrects what is published of a key. A record without a text is a vendor's, and for the
// vendor to publish.
func Record(f keydns.Finding, want keys.Record) Remedy {
	known := want.Text != ""
	switch {
	case f.Cause == keydns.Doubled && known:
		return of(Move, f.At, want.Line())
	case f.Cause == keydns.Doubled:
		return of(Remove, f.At)
	case f.Cause == keydns.Several && known:
		return of(KeepOne, want.Line())
	case f.Cause == keydns.Several:
		return of(KeepAny)
	case f.Cause == keydns.NoAnswer || f.Cause == keydns.Alias || !known:
		return Remedy{}
	case f.Cause == keydns.TooShort:
		return of(LongerKey, want.Line())
	}
	return of(Publish, want.Line())
}

// Selector puts another selector into the entry of a key, in mailseal.toml or in a key table of
// OpenDKIM's.
func Selector(wrong, right string) Remedy { return of(CorrectSelector, right, wrong) }
