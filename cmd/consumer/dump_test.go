package main

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/testkit"
)

// pg_dump at any moment beside the service, with its defaults, does not fail. make soak tries 200.
func TestDumps(t *testing.T) {
	t.Parallel()
	dumpBesideTheService(t, 15)
}

func dumpBesideTheService(t *testing.T, dumps int) {
	t.Helper()
	s := postgrestest.Private(t, "max_locks_per_transaction=2000") // a dump locks all tables of all tenants
	newRole(s)
	natsURL := natstest.Start(t)
	env := settings(with("DATABASE_URL", s.URLOf(role, password)), with("NATS_URL", natsURL), with("PREPARED_BOUNDARIES", ""))
	r := serve(t, env)
	js := natstest.JetStream(t, natsURL)
	d := postgresAt(t, s.URL, s.URL)
	d.awaitPool(t, 8)
	publish(t, js, requestFor(t, "order-first", "first")) // takes one: no dump runs
	awaitSettled(t, js)
	file := filepath.Join(t.TempDir(), "dump.sql")
	for n := range dumps {
		request, published := requestFor(t, fmt.Sprint("order-", n), fmt.Sprint("t", n)), make(chan error, 1)
		go func() {
			time.Sleep(time.Duration(rand.IntN(400)) * time.Millisecond) // before, during or after the dump
			_, err := js.PublishMsg(t.Context(), request)
			published <- err
		}()
		time.Sleep(time.Duration(rand.IntN(200)) * time.Millisecond)
		s.Run("pg_dump", "--file="+file, s.URL)
		testkit.Must(t, <-published)
	}
	awaitSettled(t, js)
	var prepared int
	for _, o := range storedOutcomes(t, js) {
		data, err := events.ProvisionedFrom(o)
		testkit.Must(t, err)
		if data.Prepared {
			prepared++
		}
	}
	testkit.Equal(t, "outcomes", len(storedOutcomes(t, js)), dumps+1)
	if prepared == 0 {
		t.Error("no boundary was taken from the pool")
	}
	t.Logf("%d of %d requests took a prepared boundary", prepared, dumps+1)
	testkit.Equal(t, "exit code", r.stop(t), 0)
}
