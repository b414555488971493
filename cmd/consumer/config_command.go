package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/config"
)

func configCommand(a *app) *cobra.Command {
	var asJSON, asMarkdown bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration, secrets redacted",
		Long: "Shows the effective values of all environment variables, and reports every invalid value. With PostgreSQL\n" +
			"it also shows the variables of libpq that are set; what DATABASE_URL names wins over them. The files of\n" +
			"INIT_SCRIPTS follow with their SHA-256.\n\n" +
			"The variables and their defaults:\n\n" + config.Reference(),
		Example: "  DATABASE_URL=postgres://localhost/tenants consumer config",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if asJSON && asMarkdown {
				return usageError(errors.New("config: give one of --json and --markdown"))
			}
			if asMarkdown {
				_, err := fmt.Fprint(a.Out, config.ReferencePage())
				return err
			}
			for _, m := range config.Misspelled(os.Environ()) {
				//nolint:errcheck // advice
				fmt.Fprintf(a.Err, "consumer: warning: %s is not a variable of this program; did you mean %s?\n", m.Name, m.Meant)
			}
			c, _, err := a.configure(cmd.Context())
			if err != nil {
				return err
			}
			if asJSON {
				values := map[string]string{}
				for _, s := range c.Settings() {
					values[s.Name] = s.Value
				}
				for _, f := range c.Files() {
					values[f.Path] = f.SHA256
				}
				encoder := json.NewEncoder(a.Out)
				encoder.SetIndent("", "  ")
				return encoder.Encode(values)
			}
			for _, s := range c.Settings() {
				if _, err := fmt.Fprintf(a.Out, "%s=%s\n", s.Name, s.Value); err != nil {
					return err
				}
			}
			for _, f := range c.Files() {
				if _, err := fmt.Fprintf(a.Out, "# %s %s\n", f.SHA256, f.Path); err != nil {
					return err
				}
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	cmd.Flags().BoolVar(&asMarkdown, "markdown", false, "print the reference, docs/configuration.md")
	return cmd
}
