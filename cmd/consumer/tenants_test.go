package main

import (
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/buildinfo"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// startProvisioned starts a service that provisions acme and beta, and rejects acme a second time.
func startProvisioned(t *testing.T, d testDatabase) (env map[string]string, js jetstream.JetStream) {
	t.Helper()
	env = settings(d.env, with("NATS_URL", natstest.Start(t)))
	serve(t, env)
	js = natstest.JetStream(t, env["NATS_URL"])
	publish(t, js, requestFor(t, "order-1", "acme"))
	awaitSettled(t, js)
	publish(t, js, requestFor(t, "order-2", "acme"), requestFor(t, "order-3", "beta"))
	awaitSettled(t, js)
	return env, js
}

// objects decodes one JSON object per line.
func objects[T any](t *testing.T, text string) (all []T) {
	t.Helper()
	for line := range strings.Lines(text) {
		var one T
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		testkit.Must(t, decoder.Decode(&one))
		all = append(all, one)
	}
	return all
}

func TestTenantsListAndShow(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env, _ := startProvisioned(t, d)
		code, stdout, stderr := command(t, env, "tenants", "list")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		lines := strings.Split(strings.TrimSpace(stdout), "\n")
		testkit.Equal(t, "lines", len(lines), 4)
		testkit.Contains(t, "the header", lines[0], "TENANT", "STRATEGY", "SCHEMA OR FILE", "PLAN", "CREATED", "CREATED BY", "DISPLAY NAME")
		testkit.Contains(t, "the system's line", lines[1], system+" (system)", "DocEX System", buildinfo.Name)
		testkit.Contains(t, "a tenant's line", lines[2], "acme", "tenant_acme", "test", "Acme", "Z  ")
		if strings.LastIndex(lines[2], "Acme") != strings.LastIndex(lines[3], "Acme") {
			t.Errorf("not aligned:\n%s", stdout)
		}

		code, stdout, _ = command(t, env, "tenants", "list", "--json")
		testkit.Equal(t, "exit code", code, 0)
		all := objects[tenantView](t, stdout)
		testkit.Equal(t, "tenants", len(all), 3)
		testkit.Equal(t, "the system's", all[0].IsSystem, true)
		acme := all[1]
		if acme.TenantID != "acme" || acme.IsSystem || acme.DisplayName != "Acme" || acme.CreatedBy != "test" ||
			!strings.Contains(acme.SchemaName+acme.DatabasePath, "tenant_acme") || time.Since(acme.CreatedAt).Abs() > 10*time.Minute {
			t.Errorf("%+v", acme)
		}
		testkit.Contains(t, "times", stdout, acme.CreatedAt.UTC().Format(time.RFC3339Nano))

		for flags, want := range map[string]int{
			"--search ACM": 2, "--search docex": 1, "--search nothing": 0, "--created-by test": 2, "--created-by other": 0,
			"--since 1h": 3, "--since 2999-01-01T00:00:00Z": 0, "--strategy none": 0, "--search acme --created-by test": 2,
		} {
			code, stdout, _ = command(t, env, append([]string{"tenants", "list", "--json"}, strings.Fields(flags)...)...)
			testkit.Equal(t, "exit code", code, 0)
			testkit.Equal(t, flags, strings.Count(stdout, "\n"), want)
		}

		code, stdout, _ = command(t, env, "tenants", "show", "acme")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "a tenant", stdout, "tenant          acme\n", "Z by test\n", "tenant_acme",
			billing, "order-1", "order-2", "provisioned", "TENANT_EXISTS")
		code, stdout, _ = command(t, env, "tenants", "show", "acme", "--json")
		testkit.Equal(t, "exit code", code, 0)
		shown := objects[tenantView](t, stdout)[0]
		testkit.Equal(t, "requests", len(shown.Requests), 2)
		testkit.Equal(t, "the latest", shown.Requests[0].ID, "order-2")
		testkit.Equal(t, "its key", shown.Requests[0].Key, events.RequestKey(billing, "order-2"))

		for id, want := range map[string]string{"aCMe": `differs only in case from "acme"`, "nobody": `no tenant "nobody"`} {
			code, stdout, stderr = command(t, env, "tenants", "show", id)
			testkit.Equal(t, "exit code", code, 1)
			testkit.Equal(t, "stdout", stdout, "")
			testkit.Contains(t, "stderr", stderr, want)
		}
	})
}

func TestTenantsVerify(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env, _ := startProvisioned(t, d)
		code, stdout, stderr := command(t, env, "tenants", "verify")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		testkit.Equal(t, "stdout", stdout, "checked 3, in order 3, with warnings 0, drifted 0, could not be read 0\n")

		missing := `index idx_documents_status is missing; run CREATE INDEX CONCURRENTLY idx_documents_status ` +
			`ON "tenant_beta".document (status)`
		if d.sqlite() {
			missing = "index idx_documents_status is missing; run CREATE INDEX idx_documents_status ON document (status)"
		}
		d.rows("beta", "DROP INDEX {b}idx_documents_status")
		code, stdout, _ = command(t, env, "tenants", "verify", "beta", "acme", "beta")
		testkit.Equal(t, "exit code with a warning", code, 0)
		testkit.Equal(t, "stdout", stdout, "! beta\n    warning: "+missing+"\n"+
			"checked 2, in order 1, with warnings 1, drifted 0, could not be read 0\n")
		code, stdout, _ = command(t, env, "tenants", "verify", "beta", "--strict")
		testkit.Equal(t, "exit code with --strict", code, 1)
		testkit.Contains(t, "stdout", stdout, "✗ beta\n    "+missing+"\n", "drifted 1")

		d.rows("acme", "ALTER TABLE {b}document DROP COLUMN checksum")
		d.rows("acme", "DROP TABLE {b}route_operations")
		code, stdout, _ = command(t, env, "tenants", "verify")
		testkit.Equal(t, "exit code with drift", code, 1)
		testkit.Equal(t, "stdout", stdout, "✗ acme\n    document.checksum is missing\n    table route_operations is missing\n"+
			"! beta\n    warning: "+missing+"\n"+
			"checked 3, in order 1, with warnings 1, drifted 1, could not be read 0\n")
		code, stdout, stderr = command(t, env, "tenants", "verify", "--json")
		testkit.Equal(t, "exit code with drift", code, 1)
		testkit.Contains(t, "stderr", stderr, "checked 3, in order 1")
		all := objects[verdict](t, stdout)
		testkit.Equal(t, "tenants", len(all), 3)
		for i, result := range []string{inOrder, drifted, warned} {
			testkit.Equal(t, all[i].TenantID, all[i].Result, result)
		}
		testkit.Equal(t, "differences", strings.Join(all[1].Differences, "|"), "document.checksum is missing|table route_operations is missing")
		testkit.Equal(t, "tables", all[1].Tables, 10)
		testkit.Equal(t, "remedy", "index idx_documents_status is missing; "+all[2].IndexRemedies["idx_documents_status"], missing)

		code, stdout, stderr = command(t, env, "tenants", "verify", "nobody", "acme", "ACME")
		testkit.Equal(t, "exit code with unknown tenants", code, 1)
		testkit.Equal(t, "stdout", stdout, "")
		testkit.Contains(t, "stderr", stderr, `no tenant "nobody"`, `differs only in case from "acme"`)
	})
}

// readCommands are the commands that only read.
var readCommands = [][]string{
	{"tenants", "list"},
	{"tenants", "show", "acme"},
	{"tenants", "verify"},
	{"requests", "show", billing, "order-1"},
	{"requests", "list"},
}

func TestReadCommandsWithoutARegistry(t *testing.T) {
	t.Parallel()
	program, dir := realProgram(t), t.TempDir()
	for _, args := range readCommands {
		cmd := exec.CommandContext(t.Context(), program, args...)
		cmd.Dir = dir
		var stdout, stderr testkit.Output
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		testkit.Equal(t, "exit code", exitCode(cmd.Run()), 1)
		testkit.Equal(t, "stdout", stdout.String(), "")
		testkit.Contains(t, "stderr", stderr.String(), "no registry at storage", "check DATABASE_URL")
	}
	entries, err := os.ReadDir(dir)
	testkit.Must(t, err)
	testkit.Equal(t, "directory entries", len(entries), 0)

	d := newPostgres(t)
	for _, args := range readCommands {
		code, stdout, stderr := command(t, settings(d.env), args...)
		testkit.Equal(t, "exit code", code, 1)
		testkit.Equal(t, "stdout", stdout, "")
		testkit.Contains(t, "stderr", stderr, "no registry in schema docex_system")
	}
}

func TestReadCommandsMisuse(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"tenants"},
		{"tenants", "drop"},
		{"tenants", "list", "acme"},
		{"tenants", "show"},
		{"tenants", "show", "a", "b"},
		{"tenants", "verify", "--fix"},
		{"requests"},
		{"requests", "show", billing},
		{"requests", "list", "acme"},
	} {
		code, stdout, stderr := command(t, settings(), args...)
		testkit.Equal(t, strings.Join(args, " "), code, 2)
		testkit.Equal(t, "stdout", stdout, "")
		testkit.Contains(t, "stderr", stderr, "consumer: ")
	}
	for _, args := range readCommands {
		code, _, stderr := command(t, settings(with("DATABASE_URL", "mysql://x"), with("CONCURRENCY", "0")), args...)
		testkit.Equal(t, strings.Join(args, " "), code, 2)
		testkit.Contains(t, "stderr", stderr, "DATABASE_URL", "CONCURRENCY")
	}
}

// A server that accepts connections and never answers times out, however many hosts the URL has.
func TestReadCommandsTimeOut(t *testing.T) {
	t.Parallel()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	testkit.Must(t, err)
	defer l.Close()
	const hosts = 60 // one after the other they would take longer than a command may
	code, _, stderr := command(t, settings(with("DATABASE_URL",
		"postgres://reader:secret@"+strings.Repeat(l.Addr().String()+",", hosts-1)+l.Addr().String()+"/x")), "tenants", "list")
	testkit.Equal(t, "exit code", code, 1)
	testkit.Contains(t, "stderr", stderr, "read the database")
	if strings.Contains(stderr, "secret") {
		t.Errorf("the error has the password: %s", stderr)
	}
}
