package main

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// newEmbedded starts the embedded server as the service does, for a service of another process.
func newEmbedded(t *testing.T, dir string) (_ *embedded, url string, _ *testkit.Output) {
	t.Helper()
	log := &testkit.Output{}
	e, err := startEmbedded(t.Context(), testkit.FreeAddr(t), dir, slog.New(slog.NewJSONHandler(log, nil)))
	testkit.Must(t, err)
	t.Cleanup(func() {
		testkit.Must(t, e.stop())
		if t.Failed() {
			t.Logf("embedded server:\n%s", testkit.Tail(log.String()))
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
	testkit.Must(t, e.current().ShutdownJetStream())
	testkit.Logged(t, log, "the embedded NATS server is back", "level")
	f.ends(t, d, js, testkit.Patience)
	ready(t, fleet...)
	testkit.Must(t, e.err())
}

// While its directory takes nothing the server is left as it is, and says why; a stop does not wait for that.
func TestEmbeddedServerWaitsForItsDirectory(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"until it is back": true, "until it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nats")
			e, _, log := newEmbedded(t, dir)
			testkit.Must(t, os.Rename(dir, dir+".away"))
			testkit.Must(t, e.current().ShutdownJetStream())
			testkit.Logged(t, log, "the embedded NATS server cannot be restarted yet", "error")
			testkit.Contains(t, "the reason", e.err().Error(), "no such file")
			testkit.Must(t, os.Rename(dir+".away", dir))
			if back {
				testkit.Logged(t, log, "the embedded NATS server is back", "level")
				testkit.Must(t, e.err())
			}
		})
	}
}

// A stream of somebody else's that cannot be recovered is no reason to restart the server: ours are stored.
func TestEmbeddedServerWithAForeignStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "jetstream", "$G", "streams", "OTHER")
	testkit.Must(t, os.MkdirAll(foreign, 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(foreign, "meta.inf"), []byte("garbage"), 0o644))
	testkit.Must(t, os.WriteFile(filepath.Join(foreign, "meta.sum"), []byte("garbage"), 0o644))
	e, _, _ := newEmbedded(t, dir)
	if status := e.current().Healthz(nil); status.Error == "" {
		t.Fatal("the server does not mind it; this test shows nothing")
	}
	testkit.Must(t, e.health())
}

// A stream that is being made has a directory before the server lists it, for seconds on a slow disk: that is no reason
// to restart the server.
func TestEmbeddedServerWithAStreamBeingMade(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, _, _ := newEmbedded(t, dir)
	testkit.Must(t, os.MkdirAll(filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters), 0o755))
	if status := e.current().Healthz(nil); status.Error == "" {
		t.Fatal("the server does not mind it; this test shows nothing")
	}
	testkit.Must(t, e.health())
}

// A stream that was there before the server, and that the server does not list, could not be recovered.
func TestEmbeddedServerWithADamagedStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters)
	testkit.Must(t, os.MkdirAll(stream, 0o755))
	for _, name := range []string{"meta.inf", "meta.sum"} {
		testkit.Must(t, os.WriteFile(filepath.Join(stream, name), []byte("garbage"), 0o644))
	}
	e, _, log := newEmbedded(t, dir)
	why := testkit.Logged(t, log, "the embedded NATS server cannot be restarted yet", "error")
	testkit.Contains(t, "the reason", why, "could not be recovered")
	testkit.Contains(t, "what /readyz says", e.err().Error(), "could not be recovered")
}
