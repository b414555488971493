package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"example.com/tenant-provisioner/events"
)

func validateSchema(ctx context.Context, a *Attempt) error {
	found, err := a.build.Inspect(ctx)
	if err != nil {
		return err
	}
	differences := found.Differences
	if !a.boundary.Existed { // the service has just made it
		differences = found.Deviations()
	}
	if len(differences) > 0 {
		a.log.WarnContext(ctx, "structure differs from the definition", "differences", differences)
		return Permanentf(events.CauseSchemaInvalid, "the structure differs from the definition: %s",
			summary(differences))
	}
	for _, warning := range found.Warned(mostDefaults) {
		a.warn(events.WarnSchemaDiffers, "the boundary existed, and is not as the service makes it: "+warning)
	}
	for _, name := range found.MissingIndexes {
		if _, known := a.failedIndexes[name]; !known { // one warning per index
			a.warn(events.WarnIndexFailed, found.MissingIndex(name))
		}
	}
	a.tables, a.indexes = found.Tables, found.Indexes
	return nil
}

// mostDefaults is how many columns without a default an outcome names. DocEX makes all its tenants without any, so that
// each outcome would repeat them; verify names all.
const mostDefaults = 3

// summary joins differences, limited to what an event can carry. The log has all of them.
func summary(differences []string) string {
	const most = 20
	if n := len(differences); n > most {
		differences = append(slices.Clone(differences[:most]), fmt.Sprintf("and %d more", n-most))
	}
	return strings.Join(differences, "; ")
}
