package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/config"
)

func configCommand(a *app) *cobra.Command {
	var asJSON, asMarkdown, asEnv, showSecrets bool
	cmd := &cobra.Command{
		Use:   "config",
		Short: "Show the effective configuration, secrets redacted",
		Long: "Shows the effective values of all environment variables, and reports every invalid value. The variables of\n" +
			"OpenTelemetry that are set follow and, with PostgreSQL, those of libpq; what DATABASE_URL names wins over\n" +
			"them. The files of INIT_SCRIPTS follow with their SHA-256. --env prints what could be put into a file for\n" +
			"--env-file: defaults as comments.\n\n" +
			"The variables and their defaults:\n\n" + config.Reference(),
		Example: "  DATABASE_URL=postgres://localhost/tenants consumer config\n" +
			"  consumer config --env --show-secrets > consumer.env",
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			switch {
			case asJSON && asMarkdown:
				return usageError(errors.New("config: give one of --json and --markdown"))
			case asEnv && (asJSON || asMarkdown):
				return usageError(errors.New("config: give one of --env, --json and --markdown"))
			case asMarkdown:
				_, err := fmt.Fprint(a.Out, config.ReferencePage())
				return err
			}
			for _, m := range config.Misspelled(os.Environ()) {
				//nolint:errcheck // advice
				fmt.Fprintf(a.Err, "consumer: warning: %s is not a variable of this program; did you mean %s?\n", m.Name, m.Meant)
			}
			c, _, err := a.configure(cmd.Context())
			switch {
			case err != nil:
				return err
			case asJSON:
				return writeConfigJSON(a.Out, c, showSecrets)
			case asEnv:
				return writeConfigEnv(a.Out, c, showSecrets)
			}
			return writeConfig(a.Out, c, showSecrets)
		},
	}
	flags := cmd.Flags()
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	flags.BoolVar(&asMarkdown, "markdown", false, "print the reference, docs/configuration.md")
	flags.BoolVar(&asEnv, "env", false, "print a file for --env-file")
	flags.BoolVar(&showSecrets, "show-secrets", false, "do not redact passwords and other secrets")
	return cmd
}

func writeConfig(w io.Writer, c config.Config, showSecrets bool) error {
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			_, err = fmt.Fprintf(w, format+"\n", args...)
		}
	}
	settings := c.Settings(showSecrets)
	for _, s := range settings {
		line("%s=%s", s.Name, s.Value)
	}
	for _, s := range settings {
		if s.From != "" {
			line("# %s is %s", s.Name, s.From)
		}
	}
	for _, f := range c.Files() {
		line("# %s %s", f.SHA256, f.Path)
	}
	return err
}

func writeConfigJSON(w io.Writer, c config.Config, showSecrets bool) error {
	values := map[string]string{}
	for _, s := range c.Settings(showSecrets) {
		values[s.Name] = s.Value
	}
	for _, f := range c.Files() {
		values[f.Path] = f.SHA256
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	return encoder.Encode(values)
}

// writeConfigEnv writes the variables that are set, and as comments the defaults of the others.
func writeConfigEnv(w io.Writer, c config.Config, showSecrets bool) error {
	for _, s := range c.Settings(showSecrets) {
		line := config.EnvLine(s.Name, s.Value)
		switch {
		case !s.Given && s.From != "":
			line = fmt.Sprintf("# %s is %s", s.Name, s.From)
		case !s.Given:
			line = "# " + line
		case s.Secret && !showSecrets:
			line = "# redacted; --show-secrets shows it:\n" + line
		}
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}
