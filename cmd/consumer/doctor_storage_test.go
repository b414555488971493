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

// Root may write anywhere, so the program runs as another user.
func TestDoctorOfAForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	program, err := os.ReadFile(realProgram(t))
	testkit.Must(t, err)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "consumer"), program, 0o755)) // other users cannot read the original
	foreign := filepath.Join(dir, "foreign")
	testkit.Must(t, os.Mkdir(foreign, 0o555))
	cmd := exec.CommandContext(t.Context(), filepath.Join(dir, "consumer"), "doctor")
	cmd.Env = []string{"DATABASE_URL=sqlite:" + foreign, "NATS_EMBEDDED_DIR=" + foreign + "/nats", "NATS_EMBEDDED_ADDR=" + testkit.FreeAddr(t)}
	if os.Getuid() == 0 {
		const nobody = 65534
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
	}
	out, err := cmd.Output()
	testkit.Equal(t, "exit code", exitCode(err), 1)
	testkit.Contains(t, "output", string(out), "✗ storage ", "✗ embedded_directory ", "permission denied")
}
