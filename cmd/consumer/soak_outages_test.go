//go:build soak

package main

import (
	"net/http"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The database is unavailable for a minute, with the delays of production.
func TestSoakPostgresIsStoppedForAMinute(t *testing.T) {
	const duration = time.Minute
	o := outage{begin: (*postgrestest.Server).Stop, end: (*postgrestest.Server).Start, reason: "connect"}
	probes := 0
	o.run(t, postgrestest.Private(t), 200, 200*time.Millisecond, func(fleet []*replica) {
		for until := time.Now().Add(duration); time.Now().Before(until); time.Sleep(time.Second) {
			for _, r := range fleet {
				code, _ := get(t, r.http+"/readyz")
				testkit.Equal(t, "/readyz", code, http.StatusServiceUnavailable)
				probes++
			}
		}
	}, with("BACKOFF_MIN", "1s"), with("BACKOFF_MAX", "5m"))
	t.Logf("/readyz was 503 each of %d times within %s", probes, duration)
}

// The leaders are killed repeatedly.
func TestSoakNATSLeadersAreKilled(t *testing.T) {
	for name, open := range map[string]func(*testing.T) testDatabase{"postgres": newPostgres, "sqlite": newSQLite} {
		t.Run(name, func(t *testing.T) {
			killLeaders(t, open(t), 1000, events.StreamRequests, events.StreamEvents, events.StreamRequests,
				events.StreamEvents, events.StreamDeadLetters, events.StreamRequests)
		})
	}
}
