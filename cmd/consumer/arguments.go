package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/tenant-provisioner/internal/spelling"
)

// argument returns the name of the i-th argument as the command's usage has it: TENANT of "show TENANT".
func argument(cmd *cobra.Command, i int) string {
	names := strings.Fields(cmd.Use)[1:]
	if len(names) == 0 {
		return "argument"
	}
	return strings.Trim(names[min(i, len(names)-1)], "[…]")
}

// noArguments rejects arguments as misuse.
func noArguments(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0:
		return nil
	case cmd.HasSubCommands():
		return unknownCommand(cmd, args[0])
	}
	return surplus(cmd, args[0])
}

// exactly requires n arguments; any other number is misuse.
func exactly(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) > n {
			return surplus(cmd, args[n])
		}
		return atLeast(n)(cmd, args)
	}
}

// atLeast requires n arguments; fewer are misuse.
func atLeast(n int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < n {
			return usageError(fmt.Errorf("%s is missing; usage: %s", argument(cmd, len(args)), cmd.UseLine()))
		}
		return nil
	}
}

func surplus(cmd *cobra.Command, arg string) error {
	return usageError(fmt.Errorf("%q is an argument too many; usage: %s", arg, cmd.UseLine()))
}

func unknownCommand(cmd *cobra.Command, name string) error {
	var known []string
	for _, c := range cmd.Commands() {
		if c.IsAvailableCommand() || c.Name() == "help" {
			known = append(known, c.Name())
		}
	}
	return usageError(fmt.Errorf("unknown command %q of %s%s; see: %s --help", name, cmd.CommandPath(),
		didYouMean(spelling.Closest(name, known)), cmd.CommandPath()))
}

// didYouMean asks about the name that was probably meant; empty: nothing is asked.
func didYouMean(name string) string {
	if name == "" {
		return ""
	}
	return "; did you mean " + name + "?"
}

// flagError adds to an error of the flags' parser what to write.
func flagError(cmd *cobra.Command, err error) error {
	var (
		unknown *pflag.NotExistError
		invalid *pflag.InvalidValueError
		remedy  string
	)
	switch {
	case errors.As(err, &unknown):
		// -json is parsed as -j, -s, …
		name, _, _ := strings.Cut(cmp.Or(unknown.GetSpecifiedShortnames(), unknown.GetSpecifiedName()), "=")
		if meant := spelling.Closest(name, flagNames(cmd)); meant != "" {
			remedy = didYouMean("--" + meant)
		}
	case errors.As(err, &invalid):
		remedy = map[string]string{
			"bool": "; write true or false", "duration": "; write a duration such as 500ms, 30s or 5m",
			"float64": "; write a number such as 0.5", "int": "; write a whole number such as 50",
		}[invalid.GetFlag().Value.Type()]
	}
	return usageError(fmt.Errorf("%w%s; see: %s --help", err, remedy, cmd.CommandPath()))
}

func flagNames(cmd *cobra.Command) (names []string) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	return names
}

// checkInput rejects arguments and flags that no command can use: empty ones, texts that are not UTF-8, which events
// and databases cannot store, and negative durations.
func checkInput(cmd *cobra.Command, args []string) error {
	if cmd.Name() == cobra.ShellCompRequestCmd { // the word that has begun may be empty
		return nil
	}
	var faults []error
	check := func(name string, values ...string) {
		switch {
		case slices.Contains(values, ""):
			faults = append(faults, fmt.Errorf("%s: is empty; write a value, or leave it out", name))
		case !utf8.ValidString(strings.Join(values, "")):
			faults = append(faults, fmt.Errorf("%s: %q is not UTF-8; write it in UTF-8", name, values))
		}
	}
	for i, arg := range args {
		check(argument(cmd, i), arg)
	}
	cmd.Flags().Visit(func(f *pflag.Flag) {
		if list, ok := f.Value.(pflag.SliceValue); ok {
			check("--"+f.Name, list.GetSlice()...)
			return
		}
		check("--"+f.Name, f.Value.String())
		if d, err := time.ParseDuration(f.Value.String()); err == nil && d < 0 && f.Value.Type() == "duration" {
			faults = append(faults, fmt.Errorf("--%s: %s is negative; write a duration such as 30s, or 0", f.Name, d))
		}
	})
	return usageError(errors.Join(faults...))
}
