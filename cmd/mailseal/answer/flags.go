package answer

import (
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// valueNames are the names of flags' values in the help, by flag. Flags whose description names the
// value in backquotes are not among them.
var valueNames = map[string]string{
	"address": "ADDRESS", "algorithm": "LIST", "auth": "NAME", "authserv-id": "NAME",
	"canonicalization": "FORM", "client": "ADDRESS", "client-name": "NAME", "conf": "FILE",
	"config": "FILE", "control": "PATH", "daemon": "NAME", "day": "DAY", "default-file": "FILE",
	"deliver": "COMMAND", "diff": "FILE", "dir": "DIRECTORY", "dkim": "DOMAIN",
	"dmarc-conf": "FILE", "domain": "DOMAIN", "dsn": "DSN", "every": "TIME", "file": "FILE",
	"force": "REASON", "format": "FORMAT", "from": "ADDRESS", "group": "GROUP", "helo": "NAME",
	"host": "NAME", "ignore": "FIELD", "ignore-opendkim": "FIELD", "include": "DOMAIN",
	"ip": "ADDRESS", "key": "FILE", "kind": "KIND", "list-id": "ID", "listen": "ADDRESS",
	"log": "FILE", "macro": "NAME=VALUE", "milter": "ADDRESS", "mode": "MODE", "mta": "MTA",
	"network": "NETWORK", "now": "TIME", "out": "DIRECTORY", "policy": "POLICY",
	"postfix": "DIRECTORY", "receiver": "NAME", "record": "TEXT", "report": "ADDRESS",
	"reporter": "REPORTER", "reports": "ADDRESS", "role": "ROLE", "roles": "ROLES",
	"root": "DIRECTORY", "selector": "SELECTOR", "sender": "ADDRESS", "sendmail": "DIRECTORY",
	"server": "SERVER", "server-name": "NAME", "smtp": "ADDRESS", "source": "NAME",
	"spf": "DOMAIN", "spf-fail": "ADDRESS", "store": "STORE", "to": "ADDRESS", "upstream": "ADDRESS", "user": "NAME",
	"without": "TERM", "zone": "FILE",
}

// kindNames are the names of the values of all other flags, by type.
var kindNames = map[string]string{
	"int": "N", "int64": "N", "float64": "N", "duration": "TIME", "string": "TEXT",
	"stringSlice": "LIST", "stringArray": "TEXT", "bool": "bool",
}

// namedValue is the value of a flag with the name that the help shows for it. The library takes
// the type of the value for that name.
type namedValue struct {
	pflag.Value
	name string
}

// Type returns the name.
func (v namedValue) Type() string { return v.name }

// Unnamed returns the value of a flag with its real type.
func Unnamed(f *pflag.Flag) pflag.Value {
	if v, ok := f.Value.(namedValue); ok {
		return v.Value
	}
	return f.Value
}

// NameValues makes the help of all commands name the values of flags by words instead of Go's
// types.
func NameValues(root *cobra.Command) {
	each(root, func(cmd *cobra.Command) {
		if cmd.Flags().Lookup("help") == nil {
			cmd.Flags().BoolP("help", "h", false, "help for "+cmd.Name())
		}
		for _, flags := range []*pflag.FlagSet{cmd.Flags(), cmd.PersistentFlags()} {
			flags.VisitAll(nameValue)
		}
	})
	root.InitDefaultVersionFlag()
	root.Flags().VisitAll(nameValue)
}

func nameValue(f *pflag.Flag) {
	if _, done := f.Value.(namedValue); done {
		return
	}
	kind := f.Value.Type()
	switch kind {
	case "stringSlice", "stringArray":
		f.DefValue = strings.Trim(f.DefValue, "[]")
	case "duration":
		if f.DefValue == "0s" {
			f.DefValue = ""
		}
	}
	if name, usage := pflag.UnquoteUsage(f); strings.Contains(f.Usage, "`") {
		f.Usage, f.Value = usage, namedValue{f.Value, strings.ToUpper(name)}
		return
	}
	name := kindNames[kind]
	if word := valueNames[f.Name]; word != "" && kind != "bool" && kind != "int" {
		name = word
	}
	if name != "" {
		f.Value = namedValue{f.Value, name}
	}
}

// each calls do for a command and all below it.
func each(cmd *cobra.Command, do func(*cobra.Command)) {
	do(cmd)
	for _, c := range cmd.Commands() {
		each(c, do)
	}
}
