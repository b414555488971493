package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
)

// newEmbedded starts the embedded server as the service does, for a service of another process.
func newEmbedded(t *testing.T, dir string) (_ *embedded, url string, _ *output) {
	t.Helper()
	log := &output{}
	e, err := startEmbedded(t.Context(), freeAddr(t), dir, slog.New(slog.NewJSONHandler(log, nil)))
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
	f.ends(t, d, js, patience)
	ready(t, fleet...)
	must(t, e.err())
}

// While its directory takes nothing the server is left as it is, and says why; a stop does not wait for that.
func TestEmbeddedServerWaitsForItsDirectory(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"until it is back": true, "until it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nats")
			e, _, log := newEmbedded(t, dir)
			must(t, os.Rename(dir, dir+".away"))
			must(t, e.current().ShutdownJetStream())
			logged(t, log, "the embedded NATS server cannot be restarted yet", "error")
			contains(t, "the reason", e.err().Error(), "no such file")
			must(t, os.Rename(dir+".away", dir))
			if back {
				logged(t, log, "the embedded NATS server is back", "level")
				must(t, e.err())
			}
		})
	}
}

// A stream of somebody else's that cannot be recovered is no reason to restart the server: ours are stored.
func TestEmbeddedServerWithAForeignStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "jetstream", "$G", "streams", "OTHER")
	must(t, os.MkdirAll(foreign, 0o755))
	must(t, os.WriteFile(filepath.Join(foreign, "meta.inf"), []byte("garbage"), 0o644))
	must(t, os.WriteFile(filepath.Join(foreign, "meta.sum"), []byte("garbage"), 0o644))
	e, _, _ := newEmbedded(t, dir)
	if status := e.current().Healthz(nil); status.Error == "" {
		t.Fatal("the server does not mind it; this test shows nothing")
	}
	must(t, e.health())
}

// A stream that is being made has a directory before the server lists it, for seconds on a slow disk: that is no reason
// to restart the server.
func TestEmbeddedServerWithAStreamBeingMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, _, _ := newEmbedded(t, dir)
	must(t, os.MkdirAll(filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters), 0o755))
	if status := e.current().Healthz(nil); status.Error == "" {
		t.Fatal("the server does not mind it; this test shows nothing")
	}
	must(t, e.health())
}

// A stream that was there before the server, and that the server does not list, could not be recovered.
func TestEmbeddedServerWithADamagedStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters)
	must(t, os.MkdirAll(stream, 0o755))
	for _, name := range []string{"meta.inf", "meta.sum"} {
		must(t, os.WriteFile(filepath.Join(stream, name), []byte("garbage"), 0o644))
	}
	e, _, log := newEmbedded(t, dir)
	why := logged(t, log, "the embedded NATS server cannot be restarted yet", "error")
	contains(t, "the reason", why, "could not be recovered")
	contains(t, "what /readyz says", e.err().Error(), "could not be recovered")
}
