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
		checks := examined(t, with("DATABASE_URL", "sqlite:"+where), with("NATS_EMBEDDED_DIR", where))
		testkit.Equal(t, "findings of "+where, ailing(checks, "storage", "embedded"), want)
	}
}

// Root may write anywhere: the program is run as somebody else.
func TestDoctorOfAForeignDirectory(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Must(t, os.Chmod(filepath.Dir(dir), 0o755))
	program, err := os.ReadFile(realProgram(t))
	testkit.Must(t, err)
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "consumer"), program, 0o755)) // the other one is in a directory of our own
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
	testkit.Contains(t, "what is said", string(out), "✗ storage ", "✗ embedded_directory ", "permission denied")
}

// What kind of file system matters, and which is found, is told apart.
func TestDoctorOfAFileSystem(t *testing.T) {
	t.Parallel()
	for trait, want := range map[fileKind]string{
		local: sound, networkFS: warning, user: warning, volatile: warning, layer: warning,
	} {
		testkit.Equal(t, "status", checkFileSystem("x", disk{trait: trait}).Status, want)
	}
	testkit.Equal(t, "NFS", fileKinds[0x6969].trait, networkFS) // as statfs(2) has it
	testkit.Equal(t, "ext4", fileKinds[0xef53].trait, local)
	testkit.Equal(t, "tmpfs", fileKinds[0x01021994].trait, volatile)
	dir := t.TempDir()
	d, err := diskOf(dir)
	testkit.Must(t, err)
	checks := examined(t, with("DATABASE_URL", "sqlite:"+dir))
	testkit.Equal(t, "what doctor says", checks["storage_filesystem"], checkFileSystem("storage_filesystem", d))
}

func TestDoctorOfSpace(t *testing.T) {
	t.Parallel()
	const tenant = 200_000
	for _, c := range []struct {
		name string
		d    disk
		size int64
		want string
	}{
		{"plenty", disk{free: 2 << 30}, tenant, sound},
		{"a little", disk{free: 900 << 20}, tenant, warning},
		{"large tenants", disk{free: 2 << 30}, 3 << 20, warning},
		{"none fits", disk{free: 100_000}, tenant, fault},
		{"few files", disk{free: 2 << 30, files: 100, known: true}, tenant, warning},
		{"no files", disk{free: 2 << 30, files: 1, known: true}, tenant, fault},
		{"plenty for NATS", disk{free: 2 << 30}, 0, sound},
		{"a little for NATS", disk{free: 100 << 20}, 0, warning},
		{"nothing for NATS", disk{free: 1 << 20}, 0, fault},
	} {
		testkit.Equal(t, c.name, checkSpace("x", c.d, c.size).Status, c.want)
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536 << 20: "1.5 GiB", 1 << 62: "4.0 EiB"} {
		testkit.Equal(t, "bytes", byteCount(n), want)
	}
}
