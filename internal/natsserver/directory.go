package natsserver

import (
	"errors"
	"fmt"

	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
)

// ErrInUse is wrapped if another process, such as a running service, has a server in the directory.
var ErrInUse = errors.New("is in use by another process")

// claimDir creates the server's directory, tries its file system and locks it. It refuses a directory that is in use,
// or in which the server cannot store streams. A directory that is only full or read-only is claimed if it exists:
// unusable has the reason.
func (e *Server) claimDir(files filesystem.System) (unusable, err error) {
	dir := e.options.StoreDir
	_, _, unusable = files.Prepare(dir, filesystem.ForStreams)
	if unusable != nil && !pipeline.IsOutage(unusable) {
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: %w", unusable)
	}
	locked, err := e.lock.TryLock()
	switch {
	case err != nil && unusable != nil:
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: %w", unusable)
	case err != nil:
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: lock %s: %w", e.lock.Path(), err)
	case !locked:
		return nil, fmt.Errorf("NATS_EMBEDDED_DIR: %s %w", dir, ErrInUse)
	}
	return unusable, nil
}
