package doctor

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileKinds are the file systems that are not a plain local disk, by the magic numbers of statfs(2).
var fileKinds = map[uint32]struct {
	name  string
	trait fileKind
}{
	unix.NFS_SUPER_MAGIC:       {"NFS", networkFS},
	unix.SMB_SUPER_MAGIC:       {"SMB", networkFS},
	unix.SMB2_SUPER_MAGIC:      {"SMB", networkFS},
	unix.CIFS_SUPER_MAGIC:      {"CIFS", networkFS},
	unix.CEPH_SUPER_MAGIC:      {"CephFS", networkFS},
	unix.AFS_SUPER_MAGIC:       {"AFS", networkFS},
	unix.AFS_FS_MAGIC:          {"AFS", networkFS},
	unix.CODA_SUPER_MAGIC:      {"Coda", networkFS},
	0x0bd00bd3:                 {"Lustre", networkFS},
	0x01161970:                 {"GFS2", networkFS},
	0x47504653:                 {"GPFS", networkFS},
	unix.V9FS_MAGIC:            {"9P", user}, // usually the host of a virtual machine
	unix.FUSE_SUPER_MAGIC:      {"FUSE", user},
	unix.TMPFS_MAGIC:           {"tmpfs", volatile},
	unix.RAMFS_MAGIC:           {"ramfs", volatile},
	unix.OVERLAYFS_SUPER_MAGIC: {"overlayfs", layer},
}

// diskOf returns the file system that holds a directory.
func diskOf(dir string) (disk, error) {
	var s unix.Statfs_t
	if err := unix.Statfs(dir, &s); err != nil {
		return disk{}, fmt.Errorf("query the file system of %s: %w", dir, err)
	}
	kind := fileKinds[uint32(s.Type)] //nolint:gosec // the magic numbers have 32 bits, in a field of 32 or 64
	return disk{
		kind: kind.name, trait: kind.trait, free: s.Bavail * uint64(s.Bsize), //nolint:gosec // not negative
		files: s.Ffree, known: s.Files > 0,
	}, nil
}
