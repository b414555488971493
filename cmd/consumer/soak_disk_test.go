//go:build soak

package main

import (
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// tmpfs mounts a small file system, for a test to fill. It needs root.
func tmpfs(t *testing.T, dir, size string) string {
	t.Helper()
	testkit.Must(t, os.MkdirAll(dir, 0o755))
	mount(t, "-t", "tmpfs", "-o", "size="+size, "tmpfs", dir)
	t.Cleanup(func() {
		if out, err := exec.Command("umount", "-l", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v: %s", dir, err, out)
		}
	})
	return dir
}

func mount(t *testing.T, args ...string) {
	t.Helper()
	if out, err := exec.Command("mount", args...).CombinedOutput(); err != nil {
		t.Fatalf("mount %v: %v: %s; this test needs root, and the permission to mount a tmpfs", args, err, out)
	}
}

// fillDisk leaves no space in a directory, until empty is called.
func fillDisk(t *testing.T, dir string) (empty func()) {
	t.Helper()
	filler, err := os.Create(filepath.Join(dir, "filler"))
	testkit.Must(t, err)
	defer filler.Close()
	if _, err := io.Copy(filler, zeros{}); !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("filling %s: %v", dir, err)
	}
	return func() { testkit.Must(t, os.Remove(filler.Name())) }
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// The disk of the tenants is full: no request fails, and work resumes when there is space again.
func TestSoakDiskFull(t *testing.T) {
	dir := tmpfs(t, t.TempDir(), "32m")
	d := sqliteIn(t, filepath.Join(dir, "storage"))
	url := natstest.Start(t)
	fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", url)))
	js := natstest.JetStream(t, url)
	f := startLoad(t, js, 100, 20*time.Millisecond)
	f.awaitPublished(t, 30)
	empty := fillDisk(t, dir)
	for _, r := range fleet {
		awaitNotReady(t, r.http, "full")
	}
	f.awaitPublished(t, 100)
	empty()
	f.finish(t, d, js, time.Minute)
	awaitReady(t, fleet...)
}

// The disk of the tenants is read-only, and not that of the registry: probes of the registry do not detect that.
func TestSoakDiskReadOnly(t *testing.T) {
	dir := tmpfs(t, t.TempDir(), "32m")
	tmpfs(t, filepath.Join(dir, "tenant_"+system), "32m")
	d := sqliteIn(t, dir)
	url := natstest.Start(t)
	fleet := startReplicas(t, 2, settings(d.env, with("NATS_URL", url)))
	js := natstest.JetStream(t, url)
	f := startLoad(t, js, 100, 20*time.Millisecond)
	f.awaitPublished(t, 30)
	testkit.Eventually(t, "no writer is active", func() bool {
		out, err := exec.Command("mount", "-o", "remount,ro", dir).CombinedOutput()
		if err != nil && !strings.Contains(string(out), "busy") {
			t.Fatalf("%v: %s", err, out)
		}
		return err == nil
	})
	for _, r := range fleet {
		awaitNotReady(t, r.http, "read-only")
	}
	f.awaitPublished(t, 100)
	mount(t, "-o", "remount,rw", dir)
	f.finish(t, d, js, time.Minute)
	awaitReady(t, fleet...)
}

// The disk of the embedded server is full: publishers get errors, confirmed messages are kept, and the server is
// replaced when there is space again.
func TestSoakEmbeddedDiskFull(t *testing.T) {
	dir := tmpfs(t, t.TempDir(), "64m")
	d := newSQLite(t)
	env := settings(d.env, with("ACK_WAIT", "5s"))
	first := startReplicas(t, 1, settings(env, with("NATS_EMBEDDED_DIR", filepath.Join(dir, "nats"))))[0]
	url := testkit.Logged(t, &first.stderr, "embedded NATS server is up", "url")
	fleet := append(startReplicas(t, 1, settings(env, with("NATS_URL", url))), first)
	js := natstest.JetStream(t, url)
	f := startLoad(t, js, 200, 20*time.Millisecond)
	f.awaitPublished(t, 50)
	empty := fillDisk(t, dir)
	reason := testkit.Logged(t, &first.stderr, "embedded NATS server cannot store messages; free or add disk space", "error")
	awaitNotReady(t, first.http, "embedded NATS")
	awaitNotReady(t, fleet[0].http, "")
	t.Logf("%d published when the disk was full: %s", f.published.Load(), reason)
	empty()
	f.finish(t, d, js, 2*time.Minute)
	awaitReady(t, fleet...)
}

// The disk of the database is full, and not that of its log: probes succeed, and all work fails.
func TestSoakPostgresDiskFull(t *testing.T) {
	dir, err := os.MkdirTemp("", "consumer-test-") //nolint:usetesting // the server's user cannot access the test's
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, os.Remove(dir)) })
	tmpfs(t, dir, "192m")
	s := postgrestest.Private(t)
	s.MoveTo(dir)
	var empty func()
	outage{
		begin:  func(*postgrestest.Server) { empty = fillDisk(t, dir) },
		end:    func(*postgrestest.Server) { empty() },
		reason: "53100",
	}.run(t, s, 120, 20*time.Millisecond, func([]*replica) {})
}
