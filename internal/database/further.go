package database

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// CheckFurther checks initialisation scripts and seed data before any request is taken: tenants have no script that was
// edited since, and scripts and seeds run for a scratch tenant, which is rolled back.
func CheckFurther(ctx context.Context, c config.Config, db Store, log *slog.Logger) error {
	scripts, seeds := c.Scripts(), c.Seeds()
	if scripts != nil {
		applied, err := db.AppliedScripts(ctx)
		if err != nil {
			return err
		}
		changed, gone := sql.CompareScripts(scripts.Files, applied)
		if err := sql.ChangedScripts(changed); err != nil {
			return err
		}
		for _, script := range gone {
			log.WarnContext(ctx, "INIT_SCRIPTS has no script "+script)
		}
	}
	if scripts == nil && seeds == nil {
		return nil
	}
	return rehearsalFault(db.RehearseFurther(ctx))
}

// rehearsalFault says which variable names what the rehearsal refused, on a line for each fault.
func rehearsalFault(err error) error {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) {
		return err
	}
	variable := map[events.CauseCode]string{
		events.CauseInitScriptFailed: "INIT_SCRIPTS", events.CauseSeedDataFailed: "SEED_DATA",
	}[fault.Code]
	if variable == "" {
		return err
	}
	var several *sql.SeedError
	if !errors.As(err, &several) || len(several.Faults) == 1 {
		return fmt.Errorf("%s: %w; correct the file and start again: a rehearsal found it, and no tenant has met it",
			variable, fault)
	}
	var lines []error
	for _, one := range several.Faults {
		lines = append(lines, fmt.Errorf("%s: %s", variable, one))
	}
	return errors.Join(append(lines, fmt.Errorf("%s: correct the files and start again: a rehearsal found this, and no "+
		"tenant has met it", variable))...)
}
