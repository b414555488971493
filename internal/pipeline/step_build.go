package pipeline

import (
	"context"
	"maps"
	"slices"

	"example.com/tenant-provisioner/events"
)

func createBoundary(ctx context.Context, a *Attempt) (err error) {
	a.boundary, err = a.build.CreateBoundary(ctx)
	return err
}

func initializeSchema(ctx context.Context, a *Attempt) error { return a.build.CreateTables(ctx) }

func createIndexes(ctx context.Context, a *Attempt) error {
	failed, err := a.build.CreateIndexes(ctx)
	if err != nil {
		return err
	}
	a.failedIndexes = failed
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		a.warn(events.WarnIndexFailed, "index "+name+" could not be created: "+failed[name].Error())
	}
	return nil
}
