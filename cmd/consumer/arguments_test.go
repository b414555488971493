package main

import (
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/sethvargo/go-envconfig"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// everyCommand returns all commands of the program.
func everyCommand() []*cobra.Command {
	root := newRoot(&app{terminal.IO{Env: envconfig.MapLookuper(nil), Out: io.Discard, Err: io.Discard}})
	all := []*cobra.Command{root}
	for i := 0; i < len(all); i++ {
		all = append(all, all[i].Commands()...)
	}
	return all
}

// invalidByType are values that a flag of the type refuses, with what its error names.
var invalidByType = map[string]map[string]string{
	"bool":        {"perhaps": "write true or false"},
	"duration":    {"soon": "write a duration such as", "30": "write a duration such as", "-5s": "is negative"},
	"float64":     {"fast": "write a number such as"},
	"int":         {"many": "write a whole number"},
	"string":      {"": "is empty", "a\xff": "is not UTF-8"},
	"stringArray": {"": "is empty", "a\xff": "is not UTF-8"},
}

// Every command refuses what it cannot use, each argument and flag by its name, with what to write instead.
func TestEveryCommandRefusesMisuse(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)))
	for _, cmd := range everyCommand() {
		path := strings.Fields(cmd.CommandPath())[1:]
		required, valid, variadic := []string{}, []string{}, strings.Contains(cmd.Use, "…")
		for _, name := range strings.Fields(cmd.Use)[1:] {
			if !strings.HasPrefix(name, "[") {
				required = append(required, strings.Trim(name, "…"))
			}
			if !strings.Contains(name, "…]") {
				valid = append(valid, "x")
			}
		}
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if f.Annotations[cobra.BashCompOneRequiredFlag] != nil {
				value := "x"
				if f.Value.Type() == "duration" {
					value = "1h"
				}
				valid = append(valid, "--"+f.Name, value)
			}
		})
		refuses := func(t *testing.T, args []string, want ...string) {
			t.Helper()
			code, stdout, stderr := command(t, env, args...)
			if code != 2 || stdout != "" {
				t.Errorf("%q: exit code %d, stdout %q", args, code, stdout)
			}
			testkit.Contains(t, strings.Join(args, " "), errorTexts(stderr), want...)
		}
		t.Run(strings.Join(path, " "), func(t *testing.T) {
			t.Parallel()
			base := slices.Concat(path, valid)
			see := "see: " + cmd.CommandPath() + " --help"
			refuses(t, append(slices.Clone(base), "--no-such-flag"), "--no-such-flag", see)
			for i, name := range required {
				refuses(t, slices.Concat(path, slices.Repeat([]string{"x"}, i)), name+" is missing", "usage: "+cmd.CommandPath())
			}
			for i := range required {
				for value, want := range invalidByType["string"] {
					args := slices.Clone(base)
					args[len(path)+i] = value
					refuses(t, args, required[i]+": ", want)
				}
			}
			switch {
			case cmd.HasSubCommands():
				for _, sub := range cmd.Commands() {
					if !sub.Hidden { // the help does not show it: it is not what was meant
						refuses(t, append(slices.Clone(path), sub.Name()+"x"), "did you mean "+sub.Name()+"?")
					}
				}
				refuses(t, append(slices.Clone(path), "no-such"), `unknown command "no-such" of `+cmd.CommandPath(), see)
				refuses(t, append([]string{"help"}, append(slices.Clone(path), "no-such")...), `"no-such"`)
			case cmd.Name() == "help":
			case variadic:
				refuses(t, append(slices.Clone(base), ""), ": is empty")
			default:
				refuses(t, append(slices.Clone(base), "surplus"), `"surplus"`, "usage: "+cmd.CommandPath())
			}
			cmd.LocalFlags().VisitAll(func(f *pflag.Flag) {
				if f.Name == "help" || f.Name == "version" {
					return
				}
				flag := "--" + f.Name
				refuses(t, append(slices.Clone(base), flag+"x"), "did you mean "+flag+"?", see)
				if invalidByType[f.Value.Type()] == nil {
					t.Errorf("%s: the test has no invalid values for flags of type %s", flag, f.Value.Type())
				}
				for value, want := range invalidByType[f.Value.Type()] {
					refuses(t, append(slices.Clone(base), flag+"="+value), flag, want)
				}
				if f.NoOptDefVal == "" {
					refuses(t, append(slices.Clone(base), flag), flag, see)
				}
			})
		})
	}
}

// Each says which flag or argument to leave out, or what to write instead.
func TestContradictionsAreRefused(t *testing.T) {
	t.Parallel()
	env := settings(with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)))
	for _, c := range []struct{ args, want string }{
		{"config --json --markdown", "give one of --json and --markdown"},
		{"reconcile --accept-streams --accept-database", "give one of --accept-streams and --accept-database"},
		{"dead-letters replay 3f2a9c51d07e --all", "give either keys, or --all"},
		{"dead-letters replay", "name the dead letters"},
		{"dead-letters replay --reason PERMISION_DENIED", `--reason: "PERMISION_DENIED" is not a cause code of this version; did you mean PERMISSION_DENIED?`},
		{"dead-letters list --reason nonsense", "--reason: \"nonsense\" is not a cause code of this version; name"},
		{"dead-letters list --since -5h", "--since: "},
		{"tenants list -json", "did you mean --json?"},
		{"tenants list --josn=true", "did you mean --json?"},
		{"help tenants show acme", `unknown command "acme" of consumer tenants show`},
		{"help tenatns", "did you mean tenants?"},
	} {
		code, stdout, stderr := command(t, env, strings.Fields(c.args)...)
		if code != 2 || stdout != "" {
			t.Errorf("%s: exit code %d, stdout %q", c.args, code, stdout)
		}
		testkit.Contains(t, c.args, stderr, c.want)
	}
	for _, args := range []string{"help", "help tenants", "help tenants show", "tenants show --help"} {
		code, stdout, _ := command(t, env, strings.Fields(args)...)
		testkit.Equal(t, "exit code of "+args, code, 0)
		testkit.Contains(t, args, stdout, "Usage:")
	}
}
