package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// What config --env prints is a file for --env-file, with the same effect.
func TestEnvFileRoundTrip(t *testing.T) {
	t.Parallel()
	secret := filepath.Join(t.TempDir(), "nats-url")
	testkit.Must(t, os.WriteFile(secret, []byte("nats://a:s3cr3t@h\n"), 0o600))
	env := map[string]string{
		"DATABASE_URL": "postgres://me:s3cr3t$x@h/x?application_name=it%27s", "SCHEMA_TEMPLATE": "t_{tenant_id}", "CONCURRENCY": "2",
		"NATS_URL_FILE": secret, "OTEL_EXPORTER_OTLP_HEADERS": "a=s3cr3t", "OTEL_SERVICE_NAME": "it's $HOME",
	}
	code, file, stderr := command(t, env, "config", "--env", "--show-secrets")
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Contains(t, "file", file, "# NATS_URL is the content of "+secret+"\n", "\nNATS_URL_FILE="+secret+"\n",
		"\n# ACK_WAIT=30s\n", "SCHEMA_TEMPLATE='t_{tenant_id}'\n")
	path := filepath.Join(t.TempDir(), "consumer.env")
	testkit.Must(t, os.WriteFile(path, []byte(withoutLines(file, "OTEL_")), 0o600))
	delete(env, "OTEL_EXPORTER_OTLP_HEADERS") // the file would set them in this process
	delete(env, "OTEL_SERVICE_NAME")
	_, want, _ := command(t, env, "config", "--json", "--show-secrets")
	code, got, stderr := command(t, nil, "config", "--json", "--show-secrets", "--env-file", path)
	testkit.Equal(t, "exit code", code, 0)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Equal(t, "configuration", got, want)

	_, redacted, _ := command(t, env, "config", "--env")
	if strings.Contains(redacted, "s3cr3t") {
		t.Error(redacted)
	}
	testkit.Contains(t, "redacted file", redacted, "# redacted; --show-secrets shows it:\nDATABASE_URL='postgres://me:xxxxx@h/x")
}

func withoutLines(text, prefix string) string {
	var kept strings.Builder
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, prefix) {
			kept.WriteString(line)
		}
	}
	return kept.String()
}

// A fault of the file is misuse of every command, and unknown names are warned of.
func TestEnvFileOfEveryCommand(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	faulty, unknown := filepath.Join(dir, "faulty"), filepath.Join(dir, "unknown")
	testkit.Must(t, os.WriteFile(faulty, []byte("s3cr3t\n"), 0o600))
	testkit.Must(t, os.WriteFile(unknown, []byte("CONCURENCY=2\nBACKOFF_MIN=soon\n"), 0o600))
	for _, args := range []string{"", "run", "config", "doctor", "tenants list", "watch", "health"} {
		code, _, stderr := command(t, nil, append(strings.Fields(args), "--env-file", faulty)...)
		testkit.Equal(t, args, code, 2)
		testkit.Contains(t, args, errorTexts(stderr), "--env-file: "+faulty+", line 1: write NAME=value")
		code, _, stderr = command(t, nil, append(strings.Fields(args), "--env-file", unknown)...)
		testkit.Equal(t, args, code, 2)
		testkit.Contains(t, args, stderr, unknown+", line 1: CONCURENCY is not a variable of this program",
			"did you mean CONCURRENCY?", "BACKOFF_MIN: ")
		if strings.Contains(stderr, "s3cr3t") {
			t.Error(stderr)
		}
	}
}

// Variables that libraries read from the process have their effect too.
func TestEnvFileForLibraries(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "consumer.env")
	testkit.Must(t, os.WriteFile(path, []byte("DATABASE_URL=postgres:///x\nPGHOST=db.internal\nPGUSER=from-file\n"), 0o600))
	p := launch(t, map[string]string{"PGUSER": "from-environment"}, "config", "--env-file", path)
	testkit.Equal(t, "exit code", p.wait(t), 0)
	testkit.Contains(t, "configuration", p.stdout.String(), "\nPGHOST=db.internal\n", "\nPGUSER=from-environment\n")
}
