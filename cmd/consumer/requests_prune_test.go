package main

import (
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// makeOld makes all requests of the ledger a year old.
func (d testDatabase) makeOld(t *testing.T) {
	t.Helper()
	newDamage(t, d).execute("UPDATE {b}tenant_requests SET created_at = '2020-01-01 00:00:00.000000', updated_at = '2020-01-01 00:00:00.000000'")
}

func TestRequestsList(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1", "a2")
		code, stdout, stderr := command(t, env, "requests", "list")
		testkit.Equal(t, "exit code: "+stderr, code, 0)
		testkit.Contains(t, "stdout", stdout, "SOURCE", billing, "r-a1", "r-a2", "provisioned")
		code, stdout, _ = command(t, env, "requests", "list", "--tenant", "a1", "--state", "provisioned", "--since", "1h", "--source", billing, "--json")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "lines", strings.Count(stdout, "\n"), 1)
		testkit.Contains(t, "stdout", stdout, `"id":"r-a1"`)
		for _, none := range [][]string{{"--state", "failed"}, {"--cause", "TENANT_EXISTS"}, {"--tenant", "a3"}, {"--source", "/x"}} {
			code, stdout, _ = command(t, env, append([]string{"requests", "list", "--json"}, none...)...)
			testkit.Equal(t, fmt.Sprint(none), fmt.Sprint(code, stdout), "0")
		}
		code, stdout, _ = command(t, env, "requests", "list", "--json", "--limit", "1")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "limited", strings.Count(stdout, "\n"), 1)
	})
}

func TestRequestsMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"list", "--state", "done"},
		{"list", "--limit", "0"},
		{"list", "--since", "soon"},
		{"list", "x"},
		{"prune"},
		{"prune", "--older-than", "-1h"},
		{"prune", "--older-than", "x"},
	} {
		code, _, stderr := command(t, settings(), append([]string{"requests"}, args...)...)
		testkit.Equal(t, fmt.Sprint(args, stderr), code, exitUsage)
	}
}

// The ledger forgets requests that are old enough, by the command and by the service. Nothing that compares database
// and streams takes that for a loss.
func TestLedgerForgets(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		js := natstest.JetStream(t, env["NATS_URL"])
		served(t, env, js, "a1", "a2")
		code, _, stderr := command(t, env, "requests", "prune", "--older-than", "24h")
		testkit.Equal(t, "exit code", code, exitUsage)
		testkit.Contains(t, "stderr", stderr, "shorter than the max_age of stream TENANT_REQUESTS")
		code, stdout, stderr := command(t, env, "requests", "prune", "--older-than", "8760h")
		testkit.Equal(t, "exit code: "+stderr, code, 0)
		testkit.Contains(t, "stdout", stdout, "pruned 0 requests")
		d.makeOld(t)
		code, stdout, stderr = command(t, env, "requests", "prune", "--older-than", "8760h")
		testkit.Equal(t, "exit code: "+stderr, code, 0)
		testkit.Contains(t, "stdout", stdout, "pruned 2 requests")

		// The events are not old: so the ledger forgets also what the service has decided since.
		newDamage(t, d).execute("UPDATE {b}registry_stamp SET pruned_before = '2999-01-01 00:00:00.000000'")
		env["LEDGER_RETENTION"] = "8760h"
		r := serve(t, env)
		testkit.Equal(t, "doctor", runDoctor(t, env)["outcomes_ledger"].Status, doctor.OK)
		code, stdout, stderr = command(t, env, "reconcile")
		testkit.Equal(t, "exit code: "+stdout+stderr, code, 0)
		publish(t, js, requestFor(t, "r-a3", "a3"))
		awaitSettled(t, js)
		r.stop(t)
		d.makeOld(t)
		r = serve(t, env)
		testkit.Logged(t, &r.stderr, "pruned the ledger", "requests")
		code, stdout, _ = command(t, env, "requests", "list", "--json")
		testkit.Equal(t, "requests", fmt.Sprint(code, stdout), "0")
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "a1 a2 a3")
	})
}

// A database without a registry stays without one.
func TestPruneCreatesNoRegistry(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		served(t, settings(newSQLite(t).env, with("NATS_URL", env["NATS_URL"])), natstest.JetStream(t, env["NATS_URL"]))
		for range 2 {
			code, _, stderr := command(t, env, "requests", "prune", "--older-than", "8760h")
			testkit.Equal(t, "exit code", code, 1)
			testkit.Contains(t, "stderr", stderr, "no registry", "DATABASE_URL")
		}
	})
}
