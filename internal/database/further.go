package database

import (
	"context"
	"fmt"
	"log/slog"

	"example.com/tenant-provisioner/internal/config"
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
	if err := db.RehearseFurther(ctx); err != nil {
		return fmt.Errorf("rehearsal of scripts and seed data, rolled back: %w", err)
	}
	return nil
}
