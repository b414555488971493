package doctor

import (
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/testkit"
)

// Each kind of file system has its status, and statfs(2) identifies the kind.
func TestDoctorOfAFileSystem(t *testing.T) {
	t.Parallel()
	for trait, want := range map[fileKind]string{
		local: OK, networkFS: Warning, user: Warning, volatile: Warning, layer: Warning,
	} {
		testkit.Equal(t, "status", checkFileSystem("x", disk{trait: trait}, nil).Status, want)
	}
	testkit.Equal(t, "NFS", fileKinds[0x6969].trait, networkFS) // as statfs(2) has it
	testkit.Equal(t, "ext4", fileKinds[0xef53].trait, local)
	testkit.Equal(t, "tmpfs", fileKinds[0x01021994].trait, volatile)
	dir := t.TempDir()
	d, err := diskOf(dir)
	testkit.Must(t, err)
	found := examineStorage(t.Context(), config.Config{DatabaseURL: "sqlite:" + dir})
	if want := checkFileSystem("storage_filesystem", d, nil); !slices.Contains(found, want) {
		t.Errorf("%+v, want %+v", found, want)
	}
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
		{"plenty", disk{free: 2 << 30}, tenant, OK},
		{"a little", disk{free: 900 << 20}, tenant, Warning},
		{"large tenants", disk{free: 2 << 30}, 3 << 20, Warning},
		{"none fits", disk{free: 100_000}, tenant, Fault},
		{"few files", disk{free: 2 << 30, files: 100, known: true}, tenant, Warning},
		{"no files", disk{free: 2 << 30, files: 1, known: true}, tenant, Fault},
		{"plenty for NATS", disk{free: 2 << 30}, 0, OK},
		{"a little for NATS", disk{free: 100 << 20}, 0, Warning},
		{"nothing for NATS", disk{free: 1 << 20}, 0, Fault},
	} {
		testkit.Equal(t, c.name, checkSpace("x", c.d, c.size).Status, c.want)
	}
	for n, want := range map[uint64]string{0: "0 B", 1023: "1023 B", 1024: "1.0 KiB", 1536 << 20: "1.5 GiB", 1 << 62: "4.0 EiB"} {
		testkit.Equal(t, "bytes", byteCount(n), want)
	}
}
