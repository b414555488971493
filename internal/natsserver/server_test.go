package natsserver

import (
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/repeatlog"
	"example.com/tenant-provisioner/internal/testkit"
)

// The embedded server's own warnings, which its clients can cause, are also counted.
func TestReportsOfTheEmbeddedServerAreCounted(t *testing.T) {
	t.Parallel()
	var written testkit.Output
	log := slog.New(slog.NewJSONHandler(&written, nil))
	l := serverLog{log, repeatlog.NewWithQuiet(log, time.Minute, "over"), new(atomic.Pointer[string])}
	for range 100 {
		l.Warnf("%s exceeded", "max_payload")
		l.Errorf("%s", "disk full")
	}
	testkit.Equal(t, "lines", strings.Count(written.String(), "\n"), 2)
	testkit.Contains(t, "the log", written.String(), `"level":"WARN","msg":"nats: max_payload exceeded"`,
		`"level":"ERROR","msg":"nats: disk full"`)
}

// newEmbedded starts the embedded server as the service does, for a service of another process.
func newEmbedded(t *testing.T, dir string) (*Server, *testkit.Output) {
	t.Helper()
	log := &testkit.Output{}
	e, err := Start(t.Context(), testkit.FreeAddr(t), dir, slog.New(slog.NewJSONHandler(log, nil)))
	testkit.Must(t, err)
	t.Cleanup(func() {
		testkit.Must(t, e.Stop())
		if t.Failed() {
			t.Logf("embedded server:\n%s", testkit.Tail(log.String()))
		}
	})
	return e, log
}

// While its directory is missing, the server cannot restart and reports why. A stop does not wait for the directory.
func TestEmbeddedServerWaitsForItsDirectory(t *testing.T) {
	t.Parallel()
	for name, back := range map[string]bool{"until it is back": true, "until it is stopped": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "nats")
			e, log := newEmbedded(t, dir)
			testkit.Must(t, os.Rename(dir, dir+".away"))
			testkit.Must(t, e.Current().ShutdownJetStream())
			testkit.Logged(t, log, "could not restart embedded NATS server; retrying", "error")
			testkit.Contains(t, "the reason", e.Err().Error(), "no such file")
			testkit.Must(t, os.Rename(dir+".away", dir))
			if back {
				testkit.Logged(t, log, "embedded NATS server is available again", "level")
				testkit.Must(t, e.Err())
			}
		})
	}
}

// Another program's stream that cannot be recovered is no reason for a restart: the service's streams work.
func TestEmbeddedServerWithAForeignStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	foreign := filepath.Join(dir, "jetstream", "$G", "streams", "OTHER")
	testkit.Must(t, os.MkdirAll(foreign, 0o755))
	testkit.Must(t, os.WriteFile(filepath.Join(foreign, "meta.inf"), []byte("garbage"), 0o644))
	testkit.Must(t, os.WriteFile(filepath.Join(foreign, "meta.sum"), []byte("garbage"), 0o644))
	e, _ := newEmbedded(t, dir)
	if status := e.Current().Healthz(nil); status.Error == "" {
		t.Fatal("the server reports no error, so this test proves nothing")
	}
	testkit.Must(t, e.health())
}

// A stream that is being created has a directory before the server lists it, for seconds on a slow disk. That is no
// reason for a restart.
func TestEmbeddedServerWithAStreamBeingCreated(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	e, _ := newEmbedded(t, dir)
	testkit.Must(t, os.MkdirAll(filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters), 0o755))
	if status := e.Current().Healthz(nil); status.Error == "" {
		t.Fatal("the server reports no error, so this test proves nothing")
	}
	testkit.Must(t, e.health())
}

// A stream that existed before the server started, and that the server does not list, could not be recovered.
func TestEmbeddedServerWithADamagedStream(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	stream := filepath.Join(dir, "jetstream", "$G", "streams", events.StreamDeadLetters)
	testkit.Must(t, os.MkdirAll(stream, 0o755))
	for _, name := range []string{"meta.inf", "meta.sum"} {
		testkit.Must(t, os.WriteFile(filepath.Join(stream, name), []byte("garbage"), 0o644))
	}
	e, log := newEmbedded(t, dir)
	why := testkit.Logged(t, log, "could not restart embedded NATS server; retrying", "error")
	testkit.Contains(t, "the reason", why, "could not be recovered")
	testkit.Contains(t, "the reason in /readyz", e.Err().Error(), "could not be recovered")
}

// What is free at the start limits nothing: there may be more later.
func TestEmbeddedServerHasNoLimitOfItsOwn(t *testing.T) {
	t.Parallel()
	e, _ := newEmbedded(t, t.TempDir())
	info, err := e.Current().Jsz(nil)
	testkit.Must(t, err)
	testkit.Equal(t, "limit in bytes", info.Config.MaxStore, maxStore)
}

// A start that fails for another reason than a full disk is an error, at once and with the server's reason.
func TestEmbeddedServerThatCannotStart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	testkit.Must(t, os.WriteFile(filepath.Join(dir, "jetstream"), nil, 0o644)) // it must be a directory
	_, err := Start(t.Context(), testkit.FreeAddr(t), dir, slog.New(slog.DiscardHandler))
	if err == nil {
		t.Fatal("the server has started")
	}
	testkit.Contains(t, "the error", err.Error(), "Can't start JetStream")
}
