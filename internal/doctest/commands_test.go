package doctest

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/docextest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// Promise 1.
func TestCommandsRun(t *testing.T) {
	t.Parallel()
	used := map[elsewhere]bool{}
	type work struct {
		document
		statements []statement
	}
	var all []work
	for _, d := range documents(t) {
		statements, err := d.statements()
		testkit.Must(t, err)
		here := slices.DeleteFunc(slices.Clone(statements), func(s statement) bool {
			row, found := ranElsewhere(d.path, s)
			used[row] = used[row] || found
			if !found && notHere.MatchString(s.name) {
				t.Errorf("%s:%d: %q is not run here; add it to notRun", d.path, s.line, s.name)
				return true
			}
			return found
		})
		if len(here) > 0 {
			all = append(all, work{d, here})
		}
	}
	for _, row := range notRun() {
		if !used[row] {
			t.Errorf("%s has no command that begins with %q; remove the row from notRun", row.document, row.command)
		}
		row.check(t)
	}
	for _, w := range all {
		t.Run(w.path, func(t *testing.T) {
			t.Parallel()
			perform(t, w.path, w.statements)
		})
	}
}

// perform runs the statements of a document, in a directory of their own.
func perform(t *testing.T, path string, all []statement) {
	t.Helper()
	addr := freeAddr(t)
	dir := newScratch(t, addr)
	begin := opening(all)
	if path == "docs/docex.md" { // it begins with what DocEX has made
		docextest.SQLite(t, filepath.Join(dir, "storage"))
		begin = nil
	}
	text := script(path, append(begin, all...))
	for name, server := range servers(t, text, addr) {
		text = strings.ReplaceAll(text, name, server)
	}
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "script"), []byte(text), 0o600))
	for _, program := range []string{"bash", "curl"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing; on Debian: apt-get install %s", program, program)
		}
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "script")
	cmd.Dir = dir
	cmd.Env = []string{
		"HOME=" + dir, "TMPDIR=" + dir, "PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "NO_COLOR=1",
		"NATS_EMBEDDED_ADDR=" + addr.nats, "HTTP_ADDR=" + addr.http,
	}
	// What the script starts in the background ends with it, also if it fails.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	cmd.WaitDelay = time.Second
	failures, write, err := os.Pipe()
	testkit.Must(t, err)
	cmd.ExtraFiles = []*os.File{write}
	var log bytes.Buffer
	cmd.Stdout, cmd.Stderr = &log, &log
	testkit.Must(t, cmd.Start())
	testkit.Must(t, write.Close())
	defer syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) // what still runs
	err = cmd.Wait()
	if err == nil {
		testkit.Must(t, failures.Close())
		return
	}
	testkit.Must(t, failures.SetReadDeadline(time.Now().Add(time.Second))) // what still runs may hold it open
	var reason bytes.Buffer
	reason.ReadFrom(failures) // up to the deadline
	testkit.Must(t, failures.Close())
	t.Errorf("%v: %s\n%s", err, strings.TrimSpace(reason.String()), tail(log.String()))
}

// opening returns what precedes a document that does not start the service itself: a running service, a tenant, and a
// request that failed.
func opening(all []statement) []statement {
	if all[0].isService() {
		return nil
	}
	const request = "consumer request acme --display-name 'Acme Inc.' --created-by billing --source /billing --wait 30s --id "
	return []statement{
		{text: "consumer", name: "consumer"},
		{text: request + "order-1", exit: "0"},
		{text: request + "order-2", exit: "1"},
	}
}

// newScratch creates a directory with the programs, and with the directories that an operator uses from the source.
func newScratch(t *testing.T, addr addresses) string {
	t.Helper()
	dir := t.TempDir()
	testkit.Must(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	testkit.Must(t, os.Symlink(consumer(t), filepath.Join(dir, "bin", "consumer")))
	// It defaults to port 4222, which other servers may use.
	nats := fmt.Sprintf("#!/bin/sh\nNATS_URL=${NATS_URL:-nats://%s} exec '%s' \"$@\"\n", addr.nats, natsCLI(t))
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "bin", "nats"), []byte(nats), 0o755))
	for _, name := range []string{"deploy", "docs", "events"} {
		path, err := filepath.Abs(filepath.Join(root, name))
		testkit.Must(t, err)
		testkit.Must(t, os.Symlink(path, filepath.Join(dir, name)))
	}
	return dir
}

// servers returns the example host names of documents with their replacements here. It starts the servers that the text
// names.
func servers(t *testing.T, text string, addr addresses) map[string]string {
	t.Helper()
	replace := map[string]string{
		"127.0.0.1:4222": addr.nats,
		"127.0.0.1:8080": addr.http,
	}
	for name, start := range map[string]func() string{
		"nats.internal:4222": func() string { return strings.TrimPrefix(startNATS(t), "nats://") },
		"postgres://tenant_provisioner:secret@db1,db2/tenants?sslmode=verify-full&sslrootcert=system": func() string { return postgrestest.Database(t) },
	} {
		if strings.Contains(text, name) {
			replace[name] = start()
		}
	}
	return replace
}
