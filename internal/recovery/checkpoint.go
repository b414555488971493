package recovery

import (
	"context"
	"errors"

	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/sql"
)

// rewind takes the checkpoint back before the first outcome that the database lacks. So the guard reports those that
// are left, whatever is repaired.
func rewind(ctx context.Context, db database.Recovery, p Plan) error {
	if p.lacking == 0 {
		return nil
	}
	to := sql.Checkpoint{Stream: p.read.Stream, Sequence: p.lackFrom - 1}
	for range 3 { // in between, the guard of a service may move it
		stamp, err := db.Stamp(ctx)
		if err != nil {
			return err
		}
		from := stamp.Checkpoint
		if from.Stream.Equal(to.Stream) && from.Sequence <= to.Sequence {
			return nil
		}
		if moved, err := db.SetCheckpoint(ctx, from, to); err != nil || moved {
			crash.Point("checkpoint rewound", "")
			return err
		}
	}
	return errors.New("another process moves the registry's checkpoint; repeat the command")
}

// forward moves the checkpoint to the last outcome that was compared, if the database no longer lacks one.
func forward(ctx context.Context, db database.Recovery, p Plan) error {
	stamp, err := db.Stamp(ctx)
	if err != nil || p.lacking > 0 || !stamp.Checkpoint.Before(p.read) {
		return err
	}
	_, err = db.SetCheckpoint(ctx, stamp.Checkpoint, p.read) // one that another process has moved is as good
	crash.Point("checkpoint forwarded", "")
	return err
}
