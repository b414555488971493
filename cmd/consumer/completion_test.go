package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// completions returns what the shell receives, and the directive.
func completions(t *testing.T, env map[string]string, args ...string) (found []string, directive string) {
	t.Helper()
	code, stdout, _ := command(t, env, append([]string{"__complete"}, args...)...)
	testkit.Equal(t, "exit code", code, 0)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	return lines[:len(lines)-1], lines[len(lines)-1]
}

const (
	anyFile = ":0"
	noFile  = ":4"
	aDir    = ":16"
)

func TestCompletion(t *testing.T) {
	m := newDeadLetterServer(t)
	d := newSQLite(t)
	serve(t, settings(d.env, with("NATS_URL", m.env["NATS_URL"])))
	for i, tenant := range []string{"acme", "acme-2", "umbrella"} {
		publish(t, m.js, requestFor(t, "order-"+string(rune('1'+i)), tenant))
	}
	awaitSettled(t, m.js) // so that the next request fails
	publish(t, m.js, requestFor(t, "again", "acme"))
	awaitSettled(t, m.js)
	env := settings(d.env, with("NATS_URL", m.env["NATS_URL"]))
	again := events.RequestKey(billing, "again")
	long := m.addDeadLetter("long", "acme", "INVALID_TENANT_ID", 0, "Tenant", "")
	for name, c := range map[string]struct {
		args      string
		want      []string
		directive string
	}{
		"tenants":                   {"tenants show ", []string{"_docex_system_\tDocEX System", "acme\tAcme", "acme-2\tAcme", "umbrella\tAcme"}, noFile},
		"tenants by prefix":         {"tenants show ac", []string{"acme\tAcme", "acme-2\tAcme"}, noFile},
		"a full name":               {"tenants show acme", []string{"acme\tAcme", "acme-2\tAcme"}, noFile},
		"one tenant is enough":      {"tenants show acme ", nil, noFile},
		"each tenant once":          {"tenants verify acme ac", []string{"acme-2\tAcme"}, noFile},
		"no such tenant":            {"tenants verify x", nil, noFile},
		"keys":                      {"dead-letters replay ", []string{again[:12] + "\tTENANT_EXISTS, acme", long[:12] + "\tINVALID_TENANT_ID, -"}, noFile},
		"keys by prefix":            {"dead-letters show " + again[:3], []string{again[:12] + "\tTENANT_EXISTS, acme"}, noFile},
		"long keys":                 {"dead-letters show " + again[:13], []string{again + "\tTENANT_EXISTS, acme"}, noFile},
		"one key is enough":         {"dead-letters show " + again[:12] + " ", nil, noFile},
		"each key once":             {"dead-letters remove " + again[:12] + " " + again[:3], nil, noFile},
		"tenants of dead letters":   {"dead-letters list --tenant ", []string{"acme\tTENANT_EXISTS"}, noFile},
		"causes":                    {"dead-letters replay --reason ", causeCodes(), noFile},
		"strategies":                {"request acme --isolation-strategy ", []string{"schema", "database"}, noFile},
		"files":                     {"demo ", nil, anyFile},
		"directories":               {"demo --dir ", nil, aDir},
		"no files without a reason": {"watch ", nil, noFile},
		"no files in free text":     {"request acme --display-name ", nil, noFile},
		"commands":                  {"tenants ", []string{"list\tList the registered tenants", "show\tShow a tenant and its requests", "verify\tCompare tenants with the definition"}, noFile},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			found, directive := completions(t, env, strings.Split(c.args, " ")...)
			if len(c.want) > 0 { // a server that answers too late is skipped
				testkit.Eventually(t, "the servers answer in time", func() bool {
					found, directive = completions(t, env, strings.Split(c.args, " ")...)
					return len(found) > 0
				})
			}
			toSet := func(all []string) map[string]bool {
				set := map[string]bool{}
				for _, s := range all {
					set[s] = true
				}
				return set
			}
			if diff := cmp.Diff(toSet(c.want), toSet(found)); diff != "" || len(found) != len(c.want) {
				t.Errorf("(-want +got):\n%s", diff)
			}
			testkit.Equal(t, "directive", directive, c.directive)
		})
	}
}

// Completions are empty, without an error or a log line: no server, a server that does not answer, an invalid
// configuration.
func TestCompletionWithoutServers(t *testing.T) {
	t.Parallel()
	silent, _ := silentServer(t)
	for name, env := range map[string]map[string]string{
		"no server": {"NATS_EMBEDDED_ADDR": testkit.FreeAddr(t), "DATABASE_URL": "sqlite:" + t.TempDir()},
		"silent":    {"NATS_URL": "nats://" + silent, "DATABASE_URL": "postgres://someone@" + silent + "/tenants"},
		"invalid":   with("CONCURRENCY", "many"),
	} {
		for _, args := range []string{"tenants show ", "dead-letters show ", "dead-letters list --tenant "} {
			t.Run(name+", "+args, func(t *testing.T) {
				t.Parallel()
				code, stdout, stderr := command(t, env, append([]string{"__complete"}, strings.Split(args, " ")...)...)
				testkit.Equal(t, "exit code", code, 0)
				testkit.Equal(t, "stdout", stdout, noFile+"\n")
				testkit.Equal(t, "stderr", stderr, "Completion ended with directive: ShellCompDirectiveNoFileComp\n")
			})
		}
	}
}

// Cobra writes the scripts.
func TestCompletionScripts(t *testing.T) {
	t.Parallel()
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		code, stdout, stderr := command(t, nil, "completion", shell)
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		testkit.Contains(t, shell, stdout, "__complete", "consumer")
	}
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "x"}} {
		code, stdout, _ := command(t, nil, args...)
		testkit.Equal(t, "exit code", code, 2)
		testkit.Equal(t, "stdout", stdout, "")
	}
}
