package main

import (
	"cmp"
	"encoding/json"
	"fmt"
	"strconv"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/terminal"
)

func versionCommand(a *app) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "version",
		Short: "Show the version and how it was built",
		Long: "Shows the program's build: the version and revision, whether the sources had uncommitted changes, the\n" +
			"revision's time, the version of Go and the platform.",
		Example: "  consumer version\n  consumer version --json | jq -r .revision",
		Args:    noArguments,
		RunE: func(*cobra.Command, []string) error {
			b := buildinfo.Read()
			if asJSON {
				return json.NewEncoder(a.Out).Encode(b)
			}
			return (&terminal.Table{W: a.Out}).Write([][]string{
				{"version", b.Version},
				{"revision", cmp.Or(b.Revision, "unknown")},
				{"modified", strconv.FormatBool(b.Modified)},
				{"time", cmp.Or(b.Time, "unknown")},
				{"go", b.Go},
				{"platform", b.Platform},
			}...)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// versionLine is what --version shows.
func versionLine() string { return fmt.Sprintf("consumer %s\n", buildinfo.Read().Line()) }
