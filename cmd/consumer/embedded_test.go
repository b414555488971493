package main

import (
	"log/slog"
	"testing"
	"time"
)

// newEmbedded starts the embedded server as the service does, for a service of another process.
func newEmbedded(t *testing.T, dir string) (_ *embedded, url string, _ *output) {
	t.Helper()
	log := &output{}
	e, err := startEmbedded(t.Context(), "127.0.0.1:0", dir, slog.New(slog.NewJSONHandler(log, nil)))
	must(t, err)
	t.Cleanup(func() {
		must(t, e.stop())
		if t.Failed() {
			t.Logf("embedded server:\n%s", tail(log.String()))
		}
	})
	return e, e.current().ClientURL(), log
}

// The server itself gives up JetStream for good, as where files are not to be written: it is replaced, and what
// it had confirmed is there.
func TestEmbeddedServerLosesJetStream(t *testing.T) {
	t.Parallel()
	d := newSQLite(t)
	e, url, log := newEmbedded(t, t.TempDir())
	fleet := enlist(t, 1, settings(d.env, with("NATS_URL", url), with("ACK_WAIT", "2s")))
	js := dialJetStream(t, url)
	f := pour(t, js, 60, 10*time.Millisecond)
	f.reaches(t, 20)
	must(t, e.current().ShutdownJetStream())
	logged(t, log, "the embedded NATS server is back", "level")
	f.ends(t, d, js, time.Minute)
	ready(t, fleet...)
	must(t, e.err())
}

// A stop in the middle of it waits for nothing.
func TestEmbeddedServerIsStoppedWhileItCannotWrite(t *testing.T) {
	t.Parallel()
	e, _, log := newEmbedded(t, t.TempDir())
	must(t, e.current().ShutdownJetStream())
	logged(t, log, "the embedded NATS server stores nothing any more; free or add space for it", "error")
}
