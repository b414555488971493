package main

import (
	"slices"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// The tenants of DocEX are as DocEX needs them, so what differs are warnings; --strict makes them drift.
func TestVerifyTenantsOfDocEX(t *testing.T) {
	onDocEX(t, func(t *testing.T, d docexData) {
		tenants := append([]string{system}, d.registered...)
		code, stdout, stderr := command(t, settings(d.env), "tenants", "verify")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Equal(t, "stderr", stderr, "")
		for _, tenant := range tenants {
			testkit.Contains(t, "stdout", stdout, "! "+tenant+"\n    warning: document.related_po is missing")
		}
		testkit.Contains(t, "stdout", stdout, "\n    warning: missing server defaults", "drifted 0, could not be read 0\n")

		code, stdout, stderr = command(t, settings(d.env), "tenants", "verify", "--json")
		testkit.Equal(t, "exit code", code, 0)
		testkit.Contains(t, "stderr", stderr, "in order 0, with warnings")
		all := objects[verdict](t, stdout)
		testkit.Equal(t, "tenants", len(all), len(tenants))
		for _, found := range all {
			if found.Result != warned || len(found.Warnings) < 4 || len(found.Differences)+len(found.MissingIndexes) > 0 {
				t.Errorf("%+v", found)
			}
		}

		code, stdout, _ = command(t, settings(d.env), "tenants", "verify", "--strict")
		testkit.Equal(t, "exit code with --strict", code, 1)
		testkit.Contains(t, "stdout", stdout, "✗ "+system+"\n    document.related_po is missing", "with warnings 0, drifted")

		code, strict, _ := command(t, settings(d.env), "tenants", "verify", "--strict", "--json")
		testkit.Equal(t, "exit code with --strict", code, 1)
		for i, found := range objects[verdict](t, strict) {
			if found.Result != drifted || !slices.Equal(found.Differences, all[i].Warnings) ||
				len(found.Warnings)+len(found.MissingIndexes)+len(found.IndexRemedies) > 0 {
				t.Errorf("with --strict %+v, without %+v", found, all[i])
			}
		}
	})
}

// One missing index is a warning; a tenant without any has drifted, whatever else is in order.
func TestVerifyTenantWithoutIndexes(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env, _ := startProvisioned(t, d)
		last := len(sql.Indexes) - 1
		for _, x := range sql.Indexes[:last] {
			d.rows("acme", "DROP INDEX {b}"+x.Name)
		}
		code, _, _ := command(t, env, "tenants", "verify", "acme")
		testkit.Equal(t, "exit code with one index", code, 0)
		d.rows("acme", "DROP INDEX {b}"+sql.Indexes[last].Name)
		code, stdout, _ := command(t, env, "tenants", "verify", "acme")
		testkit.Equal(t, "exit code", code, 1)
		testkit.Contains(t, "stdout", stdout, "✗ acme\n    none of its indexes exists\n")
	})
}
