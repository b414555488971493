package main

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/terminal"
)

const (
	// completionTimeout bounds the wait for a server, while the user waits at the prompt.
	completionTimeout = 2 * time.Second
	// completionsShown is the most completions of one request.
	completionsShown = 100
)

// silent returns an app without output, for completions: a log line or an error would corrupt them. A failed lookup
// yields no completions.
func (a *app) silent() *app { return &app{terminal.IO{Env: a.Env, Out: io.Discard, Err: io.Discard}} }

// noFiles ends a list of completions: the shell must not add file names.
const noFiles = cobra.ShellCompDirectiveNoFileComp

// completeTenants completes ids of registered tenants for at most that many arguments (0: any number).
func (a *app) completeTenants(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, given []string, begun string) (found []cobra.Completion, _ cobra.ShellCompDirective) {
		if most > 0 && len(given) >= most {
			return nil, noFiles
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		//nolint:errcheck // see silent
		a.silent().withReader(ctx, func(ctx context.Context, _ config.Config, r database.Reader) error {
			if t, err := r.Tenant(ctx, begun); err == nil && t.ID == begun {
				found = append(found, completion(begun, t.DisplayName))
			}
			rows, err := r.Tenants(ctx, begun, completionsShown)
			for _, t := range rows {
				if strings.HasPrefix(t.ID, begun) && terminal.Plain(t.ID) == t.ID && !slices.Contains(given, t.ID) {
					found = append(found, completion(t.ID, t.DisplayName))
				}
			}
			return err
		})
		return found, noFiles
	}
}

// completeKeys completes keys of dead letters for at most that many arguments (0: any number).
func (a *app) completeKeys(most int) cobra.CompletionFunc {
	return func(cmd *cobra.Command, given []string, begun string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if most > 0 && len(given) >= most {
			return nil, noFiles
		}
		return a.completeLetters(cmd, begun, func(l handler.DeadLetter) (value, description string) {
			if value = shortKey(l.Key); len(begun) > len(value) {
				value = terminal.Plain(l.Key)
			}
			if slices.Contains(given, value) {
				return "", ""
			}
			return value, cell(l.Reason, 30) + ", " + cell(l.Tenant, 40)
		}), noFiles
	}
}

// completeLetterTenants completes ids of tenants that have dead letters.
func (a *app) completeLetterTenants(
	cmd *cobra.Command, _ []string, begun string,
) ([]cobra.Completion, cobra.ShellCompDirective) {
	return a.completeLetters(cmd, begun, func(l handler.DeadLetter) (value, description string) {
		if l.Tenant == "" || terminal.Plain(l.Tenant) != l.Tenant {
			return "", ""
		}
		return l.Tenant, cell(l.Reason, 30)
	}), noFiles
}

// completeLetters completes the values that value returns for dead letters, each once.
func (a *app) completeLetters(
	cmd *cobra.Command, begun string, value func(handler.DeadLetter) (value, description string),
) (found []cobra.Completion) {
	ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
	defer cancel()
	c, log, err := a.silent().configure(ctx)
	if err != nil {
		return nil
	}
	js, _, err := natsconn.Open(ctx, c, log, nats.Timeout(completionTimeout))
	if err != nil {
		return nil
	}
	defer js.Conn().Close()
	letters, err := handler.OpenDeadLetters(ctx, js)
	if err != nil {
		return nil
	}
	seen := map[string]bool{}
	for letter, err := range letters.All(ctx, handler.Filter{}) {
		if err != nil || len(found) == completionsShown {
			break
		}
		text, description := value(letter)
		if text == "" || seen[text] || !strings.HasPrefix(text, begun) {
			continue
		}
		seen[text] = true
		found = append(found, completion(text, description))
	}
	return found
}

// completion is a value with its description, which may be untrusted text.
func completion(value, description string) cobra.Completion {
	return cobra.CompletionWithDesc(value, cell(description, 60))
}

// causeCodes are the values of --reason.
func causeCodes() (all []cobra.Completion) {
	for _, code := range events.CauseCodes() {
		all = append(all, string(code))
	}
	return all
}

// completeFlag completes a flag's values.
func completeFlag(cmd *cobra.Command, flag string, complete cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, complete); err != nil {
		panic(err) // a flag that the command does not have
	}
}

// addHelpers adds cobra's standard commands, completion and help. They report misuse as the other commands do, and have
// examples.
func addHelpers(root *cobra.Command) {
	root.CompletionOptions.SetDefaultShellCompDirective(noFiles)
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	files := map[string]string{
		"bash":       "/etc/bash_completion.d/consumer",
		"zsh":        "\"${fpath[1]}/_consumer\"",
		"fish":       "~/.config/fish/completions/consumer.fish",
		"powershell": "consumer.ps1",
	}
	for _, cmd := range root.Commands() {
		switch cmd.Name() {
		case "help":
			cmd.Example = "  consumer help dead-letters replay"
			cmd.Args = func(_ *cobra.Command, args []string) error {
				topic, rest, err := root.Find(args)
				if err == nil && len(rest) > 0 {
					err = unknownCommand(topic, rest[0])
				}
				return err
			}
		case "completion":
			cmd.Args = noArguments
			cmd.RunE = func(*cobra.Command, []string) error {
				return usageError(errors.New("completion: name the shell: bash, zsh, fish, powershell"))
			}
			cmd.Example = "  consumer completion bash > " + files["bash"]
			for _, shell := range cmd.Commands() {
				shell.Args = noArguments
				shell.Example = "  consumer completion " + shell.Name() + " > " + files[shell.Name()]
			}
		}
	}
}
