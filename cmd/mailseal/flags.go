package main

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"mailseal/cmd/mailseal/answer"
)

// What a command says of its flags, as annotations of pflag.
const (
	emptyMeans = "mailseal_empty" // the flag may be given as "", which means something
	needsFlag  = "mailseal_needs" // of each of these lists, the flag has no effect without one flag
	notBeside  = "mailseal_not"   // the flag has no effect beside any of these flags
	ignored    = "mailseal_none"  // on a command: flags of its parent that it does not look at
)

// mayBeEmpty lets flags be given as "".
func mayBeEmpty(cmd *cobra.Command, names ...string) { annotate(cmd, names, emptyMeans, "yes") }

// needs declares that flags have no effect without one of some others.
func needs(cmd *cobra.Command, names []string, others ...string) {
	annotate(cmd, names, needsFlag, strings.Join(others, " "))
}

// excludes declares that flags have no effect together with any of some others.
func excludes(cmd *cobra.Command, names []string, others ...string) {
	annotate(cmd, names, notBeside, others...)
}

// together declares that some flags have an effect only with all of them.
func together(cmd *cobra.Command, names ...string) {
	for _, n := range names {
		for _, other := range names {
			if n != other {
				needs(cmd, []string{n}, other)
			}
		}
	}
}

func annotate(cmd *cobra.Command, names []string, what string, values ...string) {
	for _, n := range names {
		f := cmd.Flags().Lookup(n)
		if f == nil {
			f = cmd.PersistentFlags().Lookup(n)
		}
		if f == nil {
			panic(fmt.Sprintf("%s has no flag --%s", cmd.Name(), n))
		}
		if f.Annotations == nil {
			f.Annotations = map[string][]string{}
		}
		f.Annotations[what] = append(f.Annotations[what], values...)
	}
}

// ignores declares that a command does not use flags that it inherits from its parent.
func ignores(cmd *cobra.Command, names ...string) {
	cmd.Annotations = map[string]string{ignored: strings.Join(names, " ")}
}

// validateFlags refuses flags that would be silently ignored: those without a value, and
// those that have no effect beside the others.
func validateFlags(cmd *cobra.Command) error {
	var errs []error
	cmd.Flags().Visit(func(f *pflag.Flag) {
		errs = append(errs, checkValue(f), checkBeside(cmd, f))
	})
	if err := errors.Join(errs...); err != nil {
		return answer.NewUsage(err)
	}
	return nil
}

// checkValue refuses "" and 0 for a flag to which they mean nothing: it would be as if the flag
// were not there.
func checkValue(f *pflag.Flag) error {
	if f.Annotations[emptyMeans] != nil {
		return nil
	}
	value := answer.Unnamed(f)
	text := value.String()
	switch value.Type() {
	case "string":
		if text == "" {
			return fmt.Errorf("--%s is empty; leave it out, or give it a value", f.Name)
		}
	case "stringSlice", "stringArray":
		list, ok := value.(pflag.SliceValue)
		if ok && (len(list.GetSlice()) == 0 || slices.Contains(list.GetSlice(), "")) {
			return fmt.Errorf("--%s is empty; leave it out, or give it a value", f.Name)
		}
	case "int", "float64", "duration":
		if text == "0" || text == "0s" || strings.HasPrefix(text, "-") {
			return fmt.Errorf("--%s %s: it must be above 0; leave it out for the default", f.Name,
				text)
		}
	}
	return nil
}

// checkBeside refuses a flag that has no effect beside the others that were given, or without those
// that were not.
func checkBeside(cmd *cobra.Command, f *pflag.Flag) error {
	isGiven := func(name string) bool { return cmd.Flags().Changed(name) }
	if slices.Contains(strings.Fields(cmd.Annotations[ignored]), f.Name) {
		return fmt.Errorf("--%s has no effect on %s", f.Name, cmd.CommandPath())
	}
	for _, any := range f.Annotations[needsFlag] {
		if others := strings.Fields(any); !slices.ContainsFunc(others, isGiven) {
			return fmt.Errorf("--%s has no effect without --%s", f.Name,
				strings.Join(others, " or --"))
		}
	}
	if at := slices.IndexFunc(f.Annotations[notBeside], isGiven); at >= 0 {
		return fmt.Errorf("--%s has no effect together with --%s", f.Name,
			f.Annotations[notBeside][at])
	}
	return nil
}

// noArgs is for commands that take flags only.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) > 0 {
		if cmd.HasSubCommands() {
			return noCommand(cmd, args[0])
		}
		return answer.NewUsage(fmt.Errorf("%s takes no arguments, only flags: got %q",
			short(cmd), args[0]))
	}
	return nil
}

// short is the command as it is written after "mailseal".
func short(cmd *cobra.Command) string {
	return strings.TrimPrefix(cmd.CommandPath(), cmd.Root().Name()+" ")
}

// noCommand reports that a command has no command of a name below it.
func noCommand(cmd *cobra.Command, name string) error {
	text := fmt.Sprintf("unknown command %q for %q", name, cmd.CommandPath())
	if cmd.SuggestionsMinimumDistance <= 0 {
		cmd.SuggestionsMinimumDistance = 2
	}
	if others := cmd.SuggestionsFor(name); len(others) > 0 {
		text += fmt.Sprintf("; did you mean %q?", others[0])
	}
	return answer.NewUsage(errors.New(text))
}

// counted writes a number of arguments.
func counted(n int) string {
	switch n {
	case 0:
		return "none"
	case 1:
		return "only one"
	}
	return strconv.Itoa(n)
}

// exactArgs is for commands that take as many arguments as are named.
func exactArgs(names ...string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) != len(names) {
			return answer.NewUsage(fmt.Errorf("%s needs %s: got %s", short(cmd),
				strings.Join(names, " and "), counted(len(args))))
		}
		return filled(cmd, args)
	}
}

// oneOrMore is for commands that take at least one argument.
func oneOrMore(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) == 0 {
			return answer.NewUsage(fmt.Errorf("%s needs at least one %s: got none",
				short(cmd), name))
		}
		return filled(cmd, args)
	}
}

// atMostOne is for commands that take one argument or none.
func atMostOne(name string) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > 1 {
			return answer.NewUsage(fmt.Errorf("%s takes only one %s: got %q as well", short(cmd),
				name, args[1]))
		}
		return filled(cmd, args)
	}
}

// filled is for commands that take any number of arguments, none of them empty.
func filled(cmd *cobra.Command, args []string) error {
	if slices.Contains(args, "") {
		return answer.NewUsage(fmt.Errorf("%s: an argument is empty", short(cmd)))
	}
	return nil
}
