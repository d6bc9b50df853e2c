package assembly

import (
	"mailseal/cmd/mailseal/remedy"
	"mailseal/config"
	"mailseal/keys/keyfile"
)

// UnsafeSecrets returns, in sentences, who else could read or replace the files of a
// configuration's secrets. Keys in files are judged where they are loaded.
func UnsafeSecrets(cfg *config.Config) []string {
	var out []string
	for _, s := range cfg.Secrets() {
		for _, f := range keyfile.Check(s.File, nil) {
			s.Place.Text = remedy.KeyFile(f, remedy.Self(),
				remedy.Key{File: s.File}).Sentence(f.Text)
			out = append(out, s.Place.Error())
		}
	}
	return out
}
