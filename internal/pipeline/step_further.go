package pipeline

import (
	"context"
	"slices"
)

// runInitScripts runs the operator's scripts. Afterwards the definition must still hold: what a script adds may differ
// from it only in what loses and refuses no row. A boundary that has them all was inspected with what they made.
func runInitScripts(ctx context.Context, a *Attempt) error {
	ran, err := a.build.RunScripts(ctx, a.values())
	if err != nil {
		return err
	}
	if ran {
		found, err := a.build.Inspect(ctx)
		if err != nil {
			return err
		}
		if len(found.Differences) > 0 {
			a.log.WarnContext(ctx, "structure differs from the definition after the scripts", "differences", found.Differences)
			return DefinitionBroken(found.Differences)
		}
		a.tables, a.indexes = found.Tables, found.Indexes
	}
	a.scripts = a.p.Scripts.Records()
	return a.confine(ctx, LoadSeedData)
}

func loadSeedData(ctx context.Context, a *Attempt) (err error) {
	if a.seeded, err = a.build.LoadSeeds(ctx, a.values()); err != nil {
		return err
	}
	return a.confine(ctx, "")
}

// confine checks that the scripts have touched nothing outside of the boundary. Their triggers can fire until the last
// row is written, so it is done once, at the end of the last step before registration. unless names a step that is
// still to come, if it runs.
func (a *Attempt) confine(ctx context.Context, unless string) error {
	if a.p.Scripts == nil || slices.ContainsFunc(a.p.Steps, func(s Step) bool { return s.Name == unless }) {
		return nil
	}
	return a.build.CheckConfined(ctx)
}

// values are those of the request.
func (a *Attempt) values() Values {
	return Values{
		TenantID: a.data.TenantID, DisplayName: a.data.DisplayName, CreatedBy: a.data.CreatedBy, Plan: a.plan.Name,
		Now: a.createdAt,
	}
}
