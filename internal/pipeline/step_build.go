package pipeline

import (
	"context"
	"maps"
	"slices"

	"example.com/tenant-provisioner/events"
)

// createBoundary compares a boundary that existed before anything is made in it. If the steps cannot complete it, it
// fails at once, and nothing was touched.
func createBoundary(ctx context.Context, a *Attempt) (err error) {
	if a.boundary, err = a.build.CreateBoundary(ctx); err != nil || !a.boundary.Existed {
		return err
	}
	found, err := a.build.Inspect(ctx)
	if err != nil {
		return err
	}
	a.existing = found
	if len(found.Lasting) > 0 {
		name := a.boundary.DatabasePath
		if name == "" {
			name = "schema " + a.boundary.SchemaName
		}
		a.log.WarnContext(ctx, "existing boundary differs from the definition", "differences", found.Lasting)
		return Permanentf(events.CauseSchemaInvalid, "%s already exists and cannot be completed: %s. "+
			"Nothing was touched. It holds no rows: correct it, drop it or move it away, then replay the request",
			name, summary(found.Lasting))
	}
	return nil
}

func initializeSchema(ctx context.Context, a *Attempt) error {
	return a.build.CreateTables(ctx, a.existing.Addable)
}

func createIndexes(ctx context.Context, a *Attempt) error {
	failed, err := a.build.CreateIndexes(ctx)
	if err != nil {
		return err
	}
	a.failedIndexes = failed
	if a.boundary.Existed { // not a failure: the index exists, or validate_schema reports that its column is missing
		maps.DeleteFunc(failed, func(name string, _ error) bool { return !slices.Contains(a.existing.MissingIndexes, name) })
	}
	for _, name := range slices.Sorted(maps.Keys(failed)) {
		text := "index " + name + " could not be created: " + failed[name].Error()
		if remedy := a.existing.IndexRemedies[name]; remedy != "" {
			text += "; " + remedy
		}
		a.warn(events.WarnIndexFailed, text)
	}
	return nil
}
