package opendkim

import (
	"os"
	"path/filepath"
	"testing"

	"mailseal/config"
)

// FuzzImport lets anything be opendkim.conf and the tables. Whatever comes out is a configuration.
func FuzzImport(f *testing.F) {
	f.Add("Mode s\nSocket inet:8891@localhost\nKeyTable /k\nSigningTable refile:/s\nInternalHosts refile:/h\n",
		"k1 example.com:s:/k/%.pem\n", "(a|b)@*.example.com k1:@%\n", "127.0.0.1\n*.example.com\n")
	f.Add("Mode v\nUMask 002\nOn-Default q\nSignHeaders *,+X\nMTA a,b\nMacroList x=y|z\n", "", "",
		"!10.0.0.0/8\n10.*\n")
	f.Add("KeyTable /k\nSigningTable file:/s\nMultipleSignatures yes\nPeerList /h\nExemptDomains refile:/h\n",
		"% %:%:MII\nk. %:s:./x\n", "u@.com k.\n.com %\n* %:%@%\n", "[::1]/128\n")
	f.Fuzz(func(t *testing.T, conf, keyTable, signingTable, hosts string) {
		if len(conf)+len(keyTable)+len(signingTable)+len(hosts) > 20_000 {
			return
		}
		dir := t.TempDir()
		for name, text := range map[string]string{"conf": conf, "k": keyTable, "s": signingTable,
			"h": hosts} {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		r, err := Import(Options{Conf: "/conf", Root: dir})
		if err != nil {
			return
		}
		if _, err := config.Parse("mailseal.toml", []byte(r.TOML)); err != nil {
			t.Errorf("config does not take it: %v\n%s", err, r.TOML)
		}
	})
}
