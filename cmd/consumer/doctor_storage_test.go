package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestDoctorOfADirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	testkit.Must(t, os.WriteFile(file, nil, 0o644))
	for where, want := range map[string]string{
		dir:                          "",
		filepath.Join(dir, "a", "b"): "",
		file:                         "embedded_directory fault, storage fault",
		filepath.Join(file, "below"): "embedded_directory fault, storage fault",
	} {
		checks := runDoctor(t, with("DATABASE_URL", "sqlite:"+where), with("NATS_EMBEDDED_DIR", where))
		testkit.Equal(t, "findings of "+where, findings(checks, "storage", "embedded"), want)
	}
}

// Before the first start, the registry's own directory and file are tried too.
func TestDoctorOfARegistryDirectory(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		make func(dir string) error
		want string // of the message; empty: the check passes
	}{
		"nothing":                {func(string) error { return nil }, ""},
		"an empty directory":     {func(dir string) error { return os.Mkdir(dir, 0o755) }, ""},
		"a file in its place":    {func(dir string) error { return os.WriteFile(dir, nil, 0o644) }, "tenant_" + system + " is not a directory"},
		"a link to nowhere":      {func(dir string) error { return os.Symlink(dir+"x", dir) }, "is a link to what does not exist"},
		"a directory for a file": {func(dir string) error { return os.MkdirAll(filepath.Join(dir, "docex.db"), 0o755) }, "docex.db is not a file"},
	} {
		root := t.TempDir()
		testkit.Must(t, c.make(filepath.Join(root, "tenant_"+system)))
		got := runDoctor(t, with("DATABASE_URL", "sqlite:"+root))["storage"]
		if want := map[bool]string{true: "ok", false: "fault"}[c.want == ""]; got.Status != want {
			t.Errorf("%s: %+v", name, got)
		}
		testkit.Contains(t, name, got.Message, c.want)
	}
}

// A registry that another user has made, such as DocEX's, can be read and not written to.
func TestDoctorOfAForeignRegistry(t *testing.T) {
	t.Parallel()
	for _, closed := range []string{"tenant_" + system, "tenant_" + system + "/docex.db"} {
		root := filepath.Join(t.TempDir(), "root")
		testkit.Must(t, os.MkdirAll(filepath.Join(root, "tenant_"+system), 0o777))
		testkit.Must(t, os.WriteFile(filepath.Join(root, "tenant_"+system, "docex.db"), nil, 0o666))
		for _, open := range []string{".", "tenant_" + system, "tenant_" + system + "/docex.db"} { // whatever the umask is
			testkit.Must(t, os.Chmod(filepath.Join(root, open), 0o777))
		}
		testkit.Must(t, os.Chmod(filepath.Join(root, closed), 0o555))
		out := doctorAsAnother(t, root)
		testkit.Contains(t, "output about "+closed, out, "✗ storage ", filepath.Base(closed), "permission denied")
	}
}

// Root may write anywhere, so the program runs as another user.
func TestDoctorOfAForeignDirectory(t *testing.T) {
	t.Parallel()
	foreign := filepath.Join(t.TempDir(), "foreign")
	testkit.Must(t, os.Mkdir(foreign, 0o555))
	testkit.Contains(t, "output", doctorAsAnother(t, foreign), "✗ storage ", "✗ embedded_directory ", "permission denied")
}

// doctorAsAnother runs doctor on a directory as a user who owns nothing, and returns its output.
func doctorAsAnother(t *testing.T, root string) string {
	t.Helper()
	testkit.Must(t, os.Chmod(filepath.Dir(filepath.Dir(root)), 0o755))
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	program, err := os.ReadFile(realProgram(t))
	testkit.Must(t, err)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "consumer"), program, 0o755)) // other users cannot read the original
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "consumer"), "doctor")
	cmd.Env = []string{"DATABASE_URL=sqlite:" + root, "NATS_EMBEDDED_DIR=" + root + "/nats", "NATS_EMBEDDED_ADDR=" + testkit.FreeAddr(t)}
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.Output()
	testkit.Equal(t, "exit code", exitCode(err), 1)
	return string(out)
}
