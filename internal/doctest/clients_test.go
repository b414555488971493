package doctest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/testkit"
)

// pythonPublishers calls the function of docs/clients.md 100 times, at the same time.
const pythonPublishers = `
import asyncio, sys, nats
from example import provision

async def main():
    nc = await nats.connect(sys.argv[1])
    async def one(i):
        tenant = {"tenant_id": f"python_{i}", "display_name": "Python", "created_by": "test"}
        outcome = await provision(nc, "/python", str(i), tenant)
        assert outcome["type"] == "tenant.provisioned" and outcome["data"]["tenant_id"] == f"python_{i}", outcome
    await asyncio.gather(*(one(i) for i in range(100)))
    failed = await provision(nc, "/python", "again", {"tenant_id": "python_1", "display_name": "P", "created_by": "t"})
    assert failed["data"]["cause"]["code"] == "TENANT_EXISTS", failed
    await nc.close()

asyncio.run(main())
`

// Publishers in Go and in Python, at the same time, against the running service: each has the outcome of each of its
// 100 requests.
func TestClientsInOtherLanguages(t *testing.T) {
	t.Parallel()
	url := startNATS(t)
	startService(t, []string{
		"HOME=" + t.TempDir(), "NATS_URL=" + url, "DATABASE_URL=sqlite:" + t.TempDir(), "HTTP_ADDR=", "LOG_FORMAT=json",
	})
	t.Run("Go", func(t *testing.T) {
		t.Parallel()
		nc, err := nats.Connect(url)
		testkit.Must(t, err)
		defer nc.Close()
		js, err := jetstream.New(nc)
		testkit.Must(t, err)
		c, err := client.Open(t.Context(), js)
		testkit.Must(t, err)
		defer c.Close()
		var all sync.WaitGroup
		for i := range 100 {
			all.Go(func() {
				tenant := fmt.Sprint("go_", i)
				r, err := c.Request(t.Context(), "/go", fmt.Sprint(i),
					events.Requested{TenantID: tenant, DisplayName: "Go", CreatedBy: "test"})
				var o client.Outcome
				if err == nil {
					o, err = c.Await(t.Context(), r)
				}
				if err != nil || o.Provisioned == nil || o.TenantID() != tenant {
					t.Errorf("%s: %+v, %v", tenant, o.Failed, err)
				}
			})
		}
		all.Wait()
	})
	t.Run("Python", func(t *testing.T) {
		t.Parallel()
		dir := t.TempDir()
		testkit.Must(t, os.WriteFile(filepath.Join(dir, "example.py"), []byte(codeOf(t, "python")), 0o600))
		testkit.Must(t, os.WriteFile(filepath.Join(dir, "main.py"), []byte(pythonPublishers), 0o600))
		python := program(t, "python3")
		run := exec.CommandContext(t.Context(), python, filepath.Join(dir, "main.py"), url)
		if exec.CommandContext(t.Context(), python, "-c", "import nats").Run() != nil {
			t.Log("nats-py is not installed: the example runs with testdata/python/nats, which stands for it")
			stand, err := filepath.Abs("testdata/python")
			testkit.Must(t, err)
			run.Env = append(os.Environ(), "PYTHONPATH="+stand)
		}
		if out, err := run.CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	t.Run("TypeScript", func(t *testing.T) { // that part of it that is JavaScript too; nats.js is not installed
		t.Parallel()
		file := filepath.Join(t.TempDir(), "example.mjs")
		testkit.Must(t, os.WriteFile(file, []byte(codeOf(t, "typescript")), 0o600))
		if out, err := exec.CommandContext(t.Context(), program(t, "node"), "--check", file).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// codeOf returns the code of docs/clients.md in that language.
func codeOf(t *testing.T, language string) string {
	t.Helper()
	for _, d := range documents(t) {
		for _, b := range d.blocks {
			if b.language == language && d.path == "docs/clients.md" {
				return b.code
			}
		}
	}
	t.Fatalf("docs/clients.md has no block in %s", language)
	return ""
}

// program finds a program of another language. Without it, its example is not checked, which the test reports.
func program(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if errors.Is(err, exec.ErrNotFound) {
		t.Skipf("NOT CHECKED: %s is not installed", name)
	}
	testkit.Must(t, err)
	return path
}
