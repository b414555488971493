package main

import (
	"log/slog"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/natsserver"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The embedded server shuts JetStream down, as when it cannot write files. It is replaced, and keeps what it has
// confirmed.
func TestEmbeddedServerLosesJetStream(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	log := &testkit.Output{}
	e, err := natsserver.Start(t.Context(), testkit.FreeAddr(t), t.TempDir(), slog.New(slog.NewJSONHandler(log, nil)))
	testkit.Must(t, err)
	t.Cleanup(func() { testkit.Must(t, e.Stop()) })
	url := e.Current().ClientURL()
	fleet := startReplicas(t, 1, settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "6s")))
	js := natstest.JetStream(t, url)
	f := startLoad(t, js, 60, 10*time.Millisecond)
	f.awaitPublished(t, 20)
	testkit.Must(t, e.Current().ShutdownJetStream())
	testkit.Logged(t, log, "embedded NATS server is available again", "level")
	f.finish(t, d, js, testkit.Patience)
	awaitReady(t, fleet...)
	testkit.Must(t, e.Err())
}
