package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/licenses"
	"example.com/tenant-provisioner/internal/terminal"
)

func licensesCommand(a *app) *cobra.Command {
	var list, asJSON bool
	cmd := &cobra.Command{
		Use:   "licenses",
		Short: "Show the licences of the program and of what it contains",
		Long: "Shows the licence of the program, the modules and other software that are compiled into it, and the\n" +
			"texts of their licences, notices and patent grants. With --list or --json it shows only names, versions\n" +
			"and SPDX identifiers.",
		Example: "  consumer licenses | less\n  consumer licenses --list\n" +
			"  consumer licenses --json | jq -r '.licenses[]' | sort -u",
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			switch {
			case list && asJSON:
				return usageError(errors.New("licenses: give one of --list and --json"))
			case !list && !asJSON:
				_, err := fmt.Fprint(a.Out, licenses.Text)
				return err
			}
			components, err := licenses.Components()
			if err != nil {
				return err
			}
			if asJSON {
				lines := json.NewEncoder(a.Out)
				for _, c := range components {
					if err := lines.Encode(c); err != nil {
						return err
					}
				}
				return nil
			}
			rows := [][]string{{"COMPONENT", "VERSION", "LICENCES"}}
			for _, c := range components {
				name := c.Name
				if c.Of != "" {
					name += " (in " + c.Of + ")"
				}
				rows = append(rows, []string{name, cmp.Or(c.Version, "-"), strings.Join(c.Licenses, ", ")})
			}
			return (&terminal.Table{W: a.Out}).Write(rows...)
		},
	}
	cmd.Flags().BoolVar(&list, "list", false, "print only the components and the names of their licences")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the components, one JSON object a line")
	return cmd
}
