package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// sections splits the output of the demo by its numbered messages.
func sections(stdout string) []string {
	return regexp.MustCompile(`(?m)^\d+\. `).Split(stdout, -1)[1:]
}

var outcomeID = regexp.MustCompile(`outcome id: (\S+)`)

func TestDemoShowsTheWholePath(t *testing.T) {
	t.Parallel()
	// The demo ignores these: it runs on defaults and does not touch the service's data.
	env := map[string]string{"DATABASE_URL": "postgres://nowhere/x", "NATS_URL": "nats://nowhere", "CONCURRENCY": "many"}
	code, stdout, stderr := command(t, env, "demo")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	shown := sections(stdout)
	if len(shown) != 8 {
		t.Fatalf("%d messages:\n%s", len(shown), stdout)
	}
	testkit.Contains(t, "a new tenant", shown[0], "tenant.provisioned acme", "11 tables, 18 indexes",
		"Step 1/5: create_isolation_boundary", "Step 2/5: initialize_schema", "Step 3/5: create_indexes",
		"Step 4/5: validate_schema", "Step 5/5: register_tenant")
	testkit.Contains(t, "the duplicate", shown[1], "outcome id: "+outcomeID.FindStringSubmatch(shown[0])[1])
	testkit.Contains(t, "the id that exists", shown[2], "step 0 validate_request: TENANT_EXISTS", "dead letter: tenant.dead_letter.")
	testkit.Contains(t, "the id in another case", shown[3], "step 0 validate_request: TENANT_EXISTS", "case")
	testkit.Contains(t, "the long id", shown[4], "tenant.provisioned", "NOT_DOCEX_COMPATIBLE")
	testkit.Contains(t, "the reserved id", shown[5], "step 0 validate_request: RESERVED_TENANT_ID")
	testkit.Contains(t, "the malformed id", shown[6], "step 0 validate_request: INVALID_TENANT_ID")
	testkit.Contains(t, "no event", shown[7], "step 0 validate_request: UNDECODABLE_EVENT")
	testkit.Contains(t, "the summary", stdout, "Messages published: 8", "Outcomes in the stream: 7")
	ids := map[string]bool{}
	for i, section := range shown {
		id := outcomeID.FindStringSubmatch(section)[1]
		if ids[id] != (i == 1) {
			t.Errorf("outcome id %s of message %d was seen: %v", id, i+1, ids[id])
		}
		ids[id] = true
	}
}

// The example of make demo: tenants have the tables of the scripts and the rows of the seed data.
func TestDemoWithScriptsAndSeeds(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "demo")
	code, stdout, stderr := command(t, nil, "demo", "--dir", dir, "--init-scripts", deployedScripts+"orders", "--seed-data",
		"../../deploy/seed-data")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	shown := sections(stdout)
	testkit.Contains(t, "a new tenant", shown[0], "scripts 2, the last 020_owner.sql", "seeded docbasket: 2, transport_routes: 2",
		"Step 5/7: run_init_scripts", "Step 6/7: load_seed_data", "Step 7/7: register_tenant")
	d := sqliteIn(t, filepath.Join(dir, "storage"))
	testkit.Equal(t, "baskets", strings.Join(d.rows("acme", "SELECT name FROM docbasket ORDER BY name"), " "), "Archive Inbox")
	testkit.Equal(t, "owner", strings.Join(d.rows("acme", "SELECT tenant_id FROM account"), " "), "acme")

	code, _, stderr = command(t, nil, "demo", "--init-scripts", "/nowhere")
	testkit.Equal(t, "exit code", code, 2)
	testkit.Contains(t, "stderr", stderr, "INIT_SCRIPTS: /nowhere: no such file or directory")
}

// validator checks events by the published schemas.
func validator(t *testing.T) func(line []byte) {
	t.Helper()
	schemas := map[string]*jsonschema.Schema{}
	files, err := events.Schemas.ReadDir("schemas")
	testkit.Must(t, err)
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	for _, f := range files {
		content, err := events.Schemas.ReadFile("schemas/" + f.Name())
		testkit.Must(t, err)
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(content))
		testkit.Must(t, err)
		testkit.Must(t, compiler.AddResource(f.Name(), document))
	}
	for _, f := range files {
		schema, err := compiler.Compile(f.Name())
		testkit.Must(t, err)
		schemas[strings.TrimSuffix(f.Name(), ".schema.json")] = schema
	}
	return func(line []byte) {
		t.Helper()
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(line))
		testkit.Must(t, err)
		var kind struct{ Type string }
		testkit.Must(t, json.Unmarshal(line, &kind))
		schema := schemas[kind.Type]
		if schema == nil {
			t.Fatalf("no schema for %q", kind.Type)
		}
		if err := schema.Validate(document); err != nil {
			t.Errorf("%s: %v", line, err)
		}
	}
}

func TestDemoInJSON(t *testing.T) {
	t.Parallel()
	code, stdout, _ := command(t, nil, "demo", "--json")
	testkit.Equal(t, "exit code", code, 0)
	validate := validator(t)
	lines := strings.Split(strings.TrimSuffix(stdout, "\n"), "\n")
	testkit.Equal(t, "lines", len(lines), 8)
	for _, line := range lines {
		validate([]byte(line))
	}
}

// A line that is not an event fails, as in the stream; the other lines are unaffected.
func TestDemoOfLinesOneOfThemBad(t *testing.T) {
	t.Parallel()
	line := func(id, tenant string) string { return string(requestFor(t, id, tenant).Data) }
	path := filepath.Join(t.TempDir(), "lines")
	testkit.Must(t, os.WriteFile(path, []byte(line("1", "one")+"\nnot json\n"+line("2", "two")+"\n"), 0o600))
	code, stdout, _ := command(t, nil, "demo", path)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stdout", stdout, "provisioned one", "UNDECODABLE_EVENT", "provisioned two", "Messages published: 3")
}

func TestDemoOfFiles(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := func(name string, content ...string) string {
		path := filepath.Join(dir, name)
		testkit.Must(t, os.WriteFile(path, []byte(strings.Join(content, "\n")), 0o600))
		return path
	}
	acme, umbrella := string(requestFor(t, "order-1", "acme").Data), string(requestFor(t, "order-2", "umbrella").Data)
	var pretty bytes.Buffer
	testkit.Must(t, json.Indent(&pretty, []byte(acme), "", "  "))

	for name, c := range map[string]struct {
		files []string
		want  []string // of each outcome
	}{
		"one event":      {[]string{file("one.json", acme)}, []string{"tenant.provisioned acme"}},
		"on many lines":  {[]string{file("pretty.json", pretty.String(), "")}, []string{"tenant.provisioned acme"}},
		"one per line":   {[]string{file("many.ndjson", acme, "", umbrella, acme, "")}, []string{"provisioned acme", "provisioned umbrella", "the outcome it had before"}},
		"two files":      {[]string{file("a.json", acme), file("b.json", umbrella)}, []string{"provisioned acme", "provisioned umbrella"}},
		"no event":       {[]string{file("text", "please", "make me a tenant")}, []string{"UNDECODABLE_EVENT"}},
		"JSON, no event": {[]string{file("object.json", `{"tenant_id": "acme"}`)}, []string{"UNDECODABLE_EVENT"}},
		"empty":          {[]string{file("empty")}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			code, stdout, stderr := command(t, nil, append([]string{"demo"}, c.files...)...)
			if c.want == nil { // nothing to publish is a usage error
				testkit.Equal(t, "exit code", code, 2)
				return
			}
			testkit.Equal(t, "exit code", code, 0)
			testkit.Equal(t, "stderr", stderr, "")
			shown := sections(stdout)
			if len(shown) != len(c.want) {
				t.Fatalf("%d outcomes, want %d:\n%s", len(shown), len(c.want), stdout)
			}
			for i, part := range c.want {
				testkit.Contains(t, "outcome", shown[i], part)
			}
		})
	}
	code, _, stderr := command(t, nil, "demo", filepath.Join(dir, "nothing"))
	testkit.Equal(t, "exit code of a missing file", code, 2)
	testkit.Contains(t, "stderr", stderr, "nothing")
}

func TestDemoKeepsANamedDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "new", "demo")
	one := filepath.Join(t.TempDir(), "one.json")
	testkit.Must(t, os.WriteFile(one, requestFor(t, "order-1", "acme").Data, 0o600))
	code, _, _ := command(t, nil, "demo", one, "--dir", dir)
	testkit.Equal(t, "exit code", code, 0)
	for _, path := range []string{"storage/tenant_acme/docex.db", "storage/tenant_" + system + "/docex.db", "nats/jetstream"} {
		if _, err := os.Stat(filepath.Join(dir, path)); err != nil {
			t.Error(err)
		}
	}
	code, stdout, stderr := command(t, nil, "demo", one, "--dir", dir)
	testkit.Equal(t, "exit code the second time", code, 2)
	testkit.Equal(t, "stdout", stdout, "")
	testkit.Contains(t, "stderr", stderr, dir, "not empty")
	code, _, stderr = command(t, nil, "demo", one, "--dir", one)
	testkit.Equal(t, "exit code for a file", code, 2)
	testkit.Contains(t, "stderr", stderr, one)
}

// The demo uses only the log variables of the environment.
func TestDemoLogsOnDemand(t *testing.T) {
	t.Parallel()
	code, _, stderr := command(t, map[string]string{"LOG_LEVEL": "info", "LOG_FORMAT": "text"}, "demo")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Contains(t, "stderr", stderr, "Step 2/5: initialize_schema", "level=INFO")
	code, _, _ = command(t, with("LOG_LEVEL", "loud"), "demo")
	testkit.Equal(t, "exit code of a bad level", code, 2)
}
