package main

import (
	"fmt"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// During a rolling update a later version has migrated the database: it has added columns, tables and migrations, and
// metadata to the streams. Replicas of this version go on, and start.
func TestReplicasTolerateTheMigrationsOfALaterVersion(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		env := settings(d.env, with("NATS_URL", natstest.Start(t)))
		tables := []string{"tenant_registry", "tenant_requests", "registry_stamp", "tenant_provisioner_migrations"}
		if !d.sqlite() {
			env["PREPARED_BOUNDARIES"] = "2"
			tables = append(tables, "prepared_boundaries")
		}
		service := serve(t, env)
		js := natstest.JetStream(t, env["NATS_URL"])
		publish(t, js, requestFor(t, "order-1", "acme"))
		awaitSettled(t, js)
		for _, table := range tables {
			d.registry(t, "ALTER TABLE {b}"+table+" ADD COLUMN added_nullable varchar(50)",
				"ALTER TABLE {b}"+table+" ADD COLUMN added_default integer NOT NULL DEFAULT 7")
		}
		d.registry(t, "CREATE TABLE {b}of_a_later_version (name varchar(255) PRIMARY KEY)",
			"INSERT INTO {b}tenant_provisioner_migrations (version_id, is_applied) VALUES (98, true), (99, true)")
		for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
			stream, err := js.Stream(t.Context(), name)
			testkit.Must(t, err)
			config := stream.CachedInfo().Config
			config.Metadata["registry"] = "7"
			_, err = js.UpdateStream(t.Context(), config)
			testkit.Must(t, err)
		}
		for i := range 2 {
			publish(t, js, requestFor(t, fmt.Sprint("next-", i), fmt.Sprint("next_", i)), scenarios["refused"].request(t, fmt.Sprint("refused-", i), ""))
			awaitSettled(t, js)
			testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), fmt.Sprintf("INVALID_TENANT_ID %d, provisioned %d", i+1, i+2))
			for _, args := range [][]string{{"tenants", "list"}, {"tenants", "show", "acme"}, {"requests", "show", billing, "order-1"}} {
				code, _, stderr := command(t, env, args...)
				testkit.Equal(t, fmt.Sprint(args, stderr), code, 0)
			}
			testkit.Equal(t, "exit code", service.stop(t), 0)
			service = serve(t, env)
		}
		verifyTenants(t, d, 4)
		testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
		testkit.Equal(t, "exit code", service.stop(t), 0)
	})
}
