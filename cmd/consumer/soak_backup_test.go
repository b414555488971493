//go:build soak

package main

import (
	"os"
	"path/filepath"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

// Twenty copies are made under load. Each serves.
func TestSoakBackups(t *testing.T) {
	backUpUnderLoad(t, 20)
}

// A disk that fills up during a backup is an error that says so, and leaves nothing on it. The service is unharmed.
func TestSoakBackupOntoAFullDisk(t *testing.T) {
	env := embeddedEnv(t, filepath.Join(t.TempDir(), "storage"))
	_, js := serveEmbedded(t, env)
	f := startLoad(t, js, 200, 1)
	f.awaitAllPublished(t, testkit.Patience)
	awaitSettled(t, js)
	for _, size := range []string{"64k", "256k", "1m", "8m"} { // full while streams, registry, or tenants are copied
		disk := tmpfs(t, t.TempDir(), size)
		code, stdout, stderr := command(t, env, "backup", filepath.Join(disk, "copy"))
		testkit.Equal(t, size+": exit code", code, 1)
		testkit.Equal(t, size+": stdout", stdout, "")
		testkit.Contains(t, size, stderr, "space")
		left, err := os.ReadDir(disk)
		testkit.Must(t, err)
		testkit.Equal(t, size+": left", len(left), 0)
	}
	f.finish(t, sqliteIn(t, env["DATABASE_URL"][len("sqlite:"):]), js, testkit.Patience)
}
