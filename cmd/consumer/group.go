package main

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// group is a command that only has subcommands. To run it without one is misuse.
func group(use, short string, commands ...*cobra.Command) *cobra.Command {
	names, examples := make([]string, len(commands)), make([]string, len(commands))
	for i, c := range commands {
		names[i] = c.Name()
		examples[i], _, _ = strings.Cut(c.Example, "\n")
	}
	g := &cobra.Command{
		Use: use, Short: short, Args: noArguments, Example: strings.Join(examples, "\n"),
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usageError(fmt.Errorf("%s: name a subcommand: %s", cmd.Name(), strings.Join(names, ", ")))
		},
	}
	g.AddCommand(commands...)
	return g
}
