package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

func importedFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	testkit.Must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// An import of both formats has the outcome of each line, also when it is repeated, and provisions no tenant twice.
func TestRequestsOfAFile(t *testing.T) {
	t.Parallel()
	service := serve(t, settings(newSQLite(t).env, with("NATS_EMBEDDED_DIR", t.TempDir())))
	env := settings(with("NATS_URL", testkit.Logged(t, &service.stderr, "embedded NATS server is up", "url")))
	js := natstest.JetStream(t, env["NATS_URL"])

	csv := importedFile(t, "tenants.csv", "tenant_id,display_name,id\nacme,\"Acme, Inc.\",\numbrella,Umbrella,order-7\n")
	args := []string{"request", "--file", csv, "--created-by", "import", "--source", billing, "--rate", "1000", "--wait", outcomeWait}
	code, stdout, stderr := command(t, env, args...)
	testkit.Equal(t, "exit code: "+stderr, code, 0)
	testkit.Equal(t, "stdout", stdout, "2 of 2 requests published, 0 of them again; 2 provisioned, 0 failed, 0 without an outcome yet\n")
	code, stdout, _ = command(t, env, append(args, "--json")...)
	testkit.Equal(t, "exit code of a repetition", code, 0)
	testkit.Contains(t, "stdout", stdout,
		`{"line":2,"tenant":"acme","id":"import-acme","outcome":"provisioned"`, events.OutcomeID(billing, "order-7", 0, events.TypeProvisioned),
		`{"summary":{"requests":2,"published":2,"repeated":2,"provisioned":2,"failed":0,"not_seen":0}}`)
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	testkit.Equal(t, "outcomes", stream.CachedInfo().State.Msgs, 2)

	jsonl := importedFile(t, "tenants.txt", `
{"tenant_id": "initech", "display_name": "Initech", "created_by": "sales", "plan": null}
{"tenant_id": "ACME", "display_name": "Another Acme", "created_by": "sales"}
`)
	code, stdout, _ = command(t, env, "request", "--file", jsonl, "--wait", outcomeWait)
	testkit.Equal(t, "exit code of a failure", code, 1)
	testkit.Contains(t, "stdout", stdout, `line 3, "ACME": TENANT_EXISTS`, "2 of 2", "1 provisioned, 1 failed")

	code, stdout, _ = command(t, env, "request", "--file", jsonl, "--source", "/other")
	testkit.Equal(t, "exit code without --wait", code, 0)
	testkit.Equal(t, "stdout", stdout, "2 of 2 requests published, 0 of them again\n")
}

// All faults are shown, each with its line, and nothing is published.
func TestFaultsOfAFile(t *testing.T) {
	t.Parallel()
	fakeService, env := newFakeService(t)
	for name, c := range map[string]struct {
		text  string
		wants []string
	}{
		"json": {
			"{\"tenant_id\": \"a\", \"display_name\": \"A\"}\n\n{\"tenant_id\": \"b c\", \"display_name\": \"B\"}\n{\"tenant_id\": 7}\n" +
				"{\"tenant_id\": \"A\", \"display_name\": \"A\"}\n{\"tenant\": \"x\"}\n{\"tenant_id\": \"d\"}\n{\n",
			[]string{":3: tenant_id:", ":4: is not a JSON", `:5: the tenant "A" is in line 1`, `:6: the field "tenant"`, ":7: display_name:", ":8: "},
		},
		"csv": {
			"tenant_id,display_name,id\na,A,1\nb,B,1\nc\n\n\"multi\nline\",M,\n",
			[]string{`:3: the id "1" is in line 2`, ":4: wrong number of fields", ":6: tenant_id:"},
		},
		"no header": {"acme,Acme\n", []string{":1: the header has no tenant_id"}},
		"quotes":    {"tenant_id\n\"a\n", []string{":2: "}},
		"column":    {"tenant_id,display_name,colour\na,A,red\n", []string{`:2: the field "colour" is unknown`}},
		"empty":     {"\n", []string{"has no requests"}},
		"latin1":    {"tenant_id\n\xe4\n", []string{"not UTF-8"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, env, "request", "--created-by", "test", "--file", importedFile(t, "f", c.text))
			testkit.Equal(t, "exit code", code, exitUsage)
			testkit.Equal(t, "stdout", stdout, "")
			testkit.Contains(t, "stderr", stderr, c.wants...)
			testkit.Equal(t, "faults", strings.Count(stderr, "\n"), len(c.wants))
		})
	}
	for _, args := range [][]string{
		{"--file", "x", "acme"},
		{"--file", "x", "--id", "1"},
		{"acme", "--rate", "5", "--display-name", "A", "--created-by", "b"},
		{"--file", "x", "--rate", "-1"},
		{"--file", filepath.Join(t.TempDir(), "missing")},
		{},
		{"acme"},
	} {
		code, _, stderr := command(t, env, append([]string{"request"}, args...)...)
		testkit.Equal(t, strings.Join(args, " ")+": "+stderr, code, exitUsage)
	}
	stream, err := fakeService.js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	testkit.Equal(t, "requests", stream.CachedInfo().State.Msgs, 0)
}

// An import that is interrupted reports that, and what was published counts.
func TestImportIsInterrupted(t *testing.T) {
	t.Parallel()
	fakeService, env := newFakeService(t)
	file := importedFile(t, "f", "tenant_id,display_name,created_by\na,A,test\nacme,Acme,test\n")
	r := start(t, env, "request", "--file", file, "--wait", "1h", "--source", billing, "--json")
	fakeService.awaitRequest(2)
	fakeService.provision("import-acme")
	testkit.Logs(t, &r.stdout, `"outcome":"provisioned"`) // the command knows that the stream has both
	testkit.Equal(t, "exit code", r.stop(t), 1)
	testkit.Contains(t, "stdout", r.stdout.String(), `"requests":2,"published":2,"repeated":0,"provisioned":1,"failed":0,"not_seen":1`)
	testkit.Contains(t, "stderr", r.stderr.String(), "interrupted; repeat the command")
	receipt, err := client.Request(t.Context(), fakeService.js, billing, "import-a",
		events.Requested{TenantID: "a", DisplayName: "A", CreatedBy: "test"})
	testkit.Must(t, err)
	testkit.Equal(t, "the request is the same in every run", receipt.Duplicate, true)
}
