package main

import (
	"regexp"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"

	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// Every command has an example in its help, and every example is valid.
func TestExamplesInHelp(t *testing.T) {
	t.Parallel()
	seen := 0
	var walk func(cmd *cobra.Command)
	walk = func(cmd *cobra.Command) {
		seen++
		if strings.TrimSpace(cmd.Example) == "" {
			t.Errorf("%s has no example", cmd.CommandPath())
		}
		for line := range strings.Lines(cmd.Example) {
			line = strings.TrimSpace(line)
			if err := checkExample(line); err != nil {
				t.Errorf("%s: example %q: %v", cmd.CommandPath(), line, err)
			}
		}
		for _, below := range cmd.Commands() {
			walk(below)
		}
	}
	walk(emptyRoot())
	if seen < 25 {
		t.Errorf("only %d commands", seen)
	}
}

// The help of a command shows its examples.
func TestHelpShowsExamples(t *testing.T) {
	t.Parallel()
	for _, args := range []string{"", "tenants", "dead-letters replay", "completion zsh", "version"} {
		code, stdout, stderr := command(t, nil, append(strings.Fields(args), "--help")...)
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		testkit.Contains(t, args, stdout, "Examples:\n  consumer")
	}
}

func TestExampleCheck(t *testing.T) {
	t.Parallel()
	for line, valid := range map[string]bool{
		"consumer tenants list | jq .": true, "A=b consumer watch --all": true, "consumer completion bash > x": true,
		"consumer watch --nonsense": false, "consumer tenants show": false, "consumer tenant list": false,
		"consumer request acme": false, "jq .": false, "consumer request a --display-name 'x y' --created-by z": true,
		"consumer request a b --display-name x --created-by z": false, "consumer version 1": false,
	} {
		if err := checkExample(line); (err == nil) != valid {
			t.Errorf("%q: %v", line, err)
		}
	}
}

func emptyRoot() *cobra.Command {
	return newRoot(&app{terminal.IO{Env: envconfig.MapLookuper(nil), Out: new(testkit.Output), Err: new(testkit.Output)}})
}

// words matches the words of a shell's line.
var words = regexp.MustCompile(`'[^']*'|"[^"]*"|[|>]|[^\s'"|>]+`)

// assignment is a variable before the command.
var assignment = regexp.MustCompile(`^[A-Z_]+=`)

// checkExample returns nil if the line's command and flags exist and its arguments are valid.
func checkExample(line string) error {
	var args []string
	for _, word := range words.FindAllString(line, -1) {
		if word == "|" || word == ">" {
			break
		}
		args = append(args, strings.Trim(word, `'"`))
	}
	for len(args) > 0 && assignment.MatchString(args[0]) {
		args = args[1:]
	}
	root := emptyRoot()
	if len(args) == 0 || args[0] != root.Name() {
		return errSilent
	}
	cmd, rest, err := root.Find(args[1:])
	if err != nil {
		return err
	}
	if err := cmd.ParseFlags(rest); err != nil {
		return err
	}
	if err := cmd.ValidateArgs(cmd.Flags().Args()); err != nil {
		return err
	}
	return cmd.ValidateRequiredFlags()
}
