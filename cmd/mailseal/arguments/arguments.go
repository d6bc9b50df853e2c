// Package arguments checks the names, addresses and times on the command line before a command
// begins: a wrong one is a usage error that names the argument and shows what it should look like,
// whatever the command does with it.
package arguments

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailseal/cmd/mailseal/answer"
)

// check refuses a value that a flag or an argument cannot have.
type check func(string) error

// flagChecks are the checks of flags, by name: a name means the same in all commands.
var flagChecks = map[string]check{
	"authserv-id": fullName,
	"client":      ipAddress,
	"client-name": hostName,
	"day":         day,
	"dkim":        mailDomain,
	"domain":      mailDomain,
	"from":        sender,
	"host":        hostName,
	"ip":          ipAddress,
	"network":     ipNetwork,
	"now":         timestamp,
	"receiver":    hostName,
	"report":      mailAddress,
	"reports":     mailAddress,
	"selector":    selector,
	"sender":      sender,
	"server-name": hostName,
	"smtp":        hostPort,
	"spf":         mailDomain,
	"spf-fail":    mailAddress,
	"to":          mailAddress,
}

// exceptions are the flags of single commands that are checked otherwise, or with nil not at all.
var exceptions = map[string]check{
	"domain --address":         ipNetwork,
	"explain-signing --from":   mailAddress,
	"keys generate --selector": selectorTemplate,
	"mta --from":               nil, // plays any client, also one that sends nonsense
	"mta --to":                 nil,
	"propose spf --address":    ipNetwork,
	"propose spf --include":    dnsName,
	"setup --address":          ipAddress,
	"test send --helo":         hostName,
	"test send --server":       hostMaybePort,
	"test send --from":         mailAddress,
}

// argument is a positional argument: its name in the usage line, and its check.
type argument struct {
	name  string
	check check
}

// positions are the arguments of commands, in order; the last one may be repeated. Arguments that
// are files, or that mean something to the command alone, are missing.
var positions = map[string][]argument{
	"dkim":               {{"SELECTOR", selector}, {"DOMAIN", mailDomain}},
	"dmarc":              {{"DOMAIN", mailDomain}},
	"domain":             {{"NAME", mailDomain}},
	"keys activate":      {{"NAME", keyName}},
	"keys generate":      {{"DOMAIN", mailDomain}},
	"keys list":          {{"DOMAIN", keyName}},
	"keys publish-check": {{"NAME", keyName}},
	"keys remove":        {{"NAME", keyName}},
	"keys retire":        {{"NAME", keyName}},
	"keys revoke":        {{"NAME", keyName}},
	"keys rotate":        {{"DOMAIN", mailDomain}},
	"propose dkim":       {{"DOMAIN", mailDomain}},
	"propose dmarc":      {{"DOMAIN", mailDomain}},
	"propose spf":        {{"DOMAIN", mailDomain}},
	"reports bounced":    {{"RECIPIENT", mailAddress}},
	"reports deliver":    {{"RECIPIENT", mailAddress}},
	"reports forget":     {{"DOMAIN", mailDomain}},
	"reports history":    {{"DOMAIN", mailDomain}},
	"reports preview":    {{"DOMAIN", mailDomain}},
	"reports suppress":   {{"ADDRESS", mailAddress}},
	"setup":              {{"DOMAIN", mailDomain}},
	"spf":                {{"NAME", dnsName}},
	"test send":          {{"ADDRESS", mailAddress}},
}

// Check refuses flags and arguments whose values cannot be what they are said to be. The error has
// the kind answer.Usage.
func Check(cmd *cobra.Command, args []string) error {
	path := strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
	var errs []error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		for _, v := range values(f) {
			if err := checkOf(path, f.Name)(v); err != nil {
				errs = append(errs, fmt.Errorf("--%s: %w", f.Name, err))
			}
		}
	})
	if known := positions[path]; len(known) > 0 {
		for i, v := range args {
			a := known[min(i, len(known)-1)]
			if err := a.check(v); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", a.name, err))
			}
		}
	}
	if err := errors.Join(errs...); err != nil {
		return answer.NewUsage(err)
	}
	return nil
}

// checkOf is the check of a flag of a command.
func checkOf(path, flag string) check {
	own, isException := exceptions[path+" --"+flag]
	switch {
	case isException && own != nil:
		return own
	case !isException && flagChecks[flag] != nil:
		return flagChecks[flag]
	}
	return func(string) error { return nil }
}

// values are the values of a flag that are to be checked. An empty one is left to the command: it
// may mean something.
func values(f *pflag.Flag) []string {
	value := answer.Unnamed(f)
	if list, ok := value.(pflag.SliceValue); ok {
		return list.GetSlice()
	}
	if value.Type() != "string" || value.String() == "" {
		return nil
	}
	return []string{value.String()}
}
