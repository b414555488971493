package filesystem

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"example.com/tenant-provisioner/internal/faults"
	"example.com/tenant-provisioner/internal/pipeline"
)

// explain says what an error in preparing or trying a directory means, and what to do. what completes "cannot".
func explain(dir, what string, err error) error {
	const choose = "choose a directory on one that can, such as ext4 or XFS on a disk of this machine"
	refused := func(format string, args ...any) error {
		return &pipeline.Fault{Class: pipeline.Permanent, Message: fmt.Sprintf(format, args...), Err: err}
	}
	row, _ := faults.ByErrno(err)
	switch {
	// Before the table: while the service runs, some of these mean that something else is wrong.
	case isUnsupported(err, syscall.ENOLCK, syscall.EXDEV, syscall.EMLINK, syscall.EBADF, syscall.ENOTTY):
		return refused("the file system of %s cannot %s; %s", dir, what, choose)
	case errors.Is(err, fs.ErrPermission):
		return refused("this user may not %s in %s; grant the permission, or choose another directory", what, dir)
	case row.Shared.Class == pipeline.Outage:
		return &pipeline.Fault{
			Class: pipeline.Outage, Err: err,
			Message: cmp.Or(row.Shared.Hint,
				fmt.Sprintf("could not %s in %s; repair the disk, or mount it for writing", what, dir)),
		}
	}
	return refused("%s cannot be used: could not %s", dir, what)
}
