package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// embeddedEnv is the environment of a service with its own NATS server, on a free port, and its files below root.
func embeddedEnv(t *testing.T, root string) map[string]string {
	t.Helper()
	return settings(with("DATABASE_URL", "sqlite:"+root), with("NATS_EMBEDDED_DIR", filepath.Join(root, "nats")),
		with("NATS_EMBEDDED_ADDR", testkit.FreeAddr(t)), with("ACK_WAIT", "6s"), with("LOG_LEVEL", "info"))
}

// serveEmbedded starts the real program with its own NATS server, and connects to that.
func serveEmbedded(t *testing.T, env map[string]string) (*process, jetstream.JetStream) {
	t.Helper()
	p := launch(t, env)
	url := testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url")
	testkit.Logged(t, &p.stderr, "taking requests", "workers")
	return p, natstest.JetStream(t, url)
}

// Copies are made while requests arrive, are provisioned, fail, and are replayed. Each serves.
func TestBackupUnderLoad(t *testing.T) { //nolint:tparallel // one copy after the other
	t.Parallel()
	backUpUnderLoad(t, 3)
}

// backUpUnderLoad makes n copies under load, and checks each by serving it.
func backUpUnderLoad(t *testing.T, n int) {
	t.Helper()
	env := embeddedEnv(t, filepath.Join(t.TempDir(), "storage"))
	_, js := serveEmbedded(t, env)
	for i := range n {
		dir := filepath.Join(t.TempDir(), "copy")
		var report string
		t.Run(fmt.Sprintf("copy %d", i), func(t *testing.T) { // its end ends the load
			const most = 300 // each round copies the tenants of all rounds before
			f := startLoadFrom(t, js, i*most, most, 10*time.Millisecond)
			startFailures(t, env, js)
			f.awaitPublished(t, 20)
			before := f.published.Load()
			copying := launch(t, env, "backup", dir)
			testkit.Equal(t, "exit code of backup", copying.wait(t), 0)
			if f.published.Load() == before {
				t.Error("no request arrived during the backup")
			}
			report = copying.stdout.String()
		})
		checkCopy(t, dir, report)
	}
}

// startFailures publishes requests that fail, and replays their dead letters, until the test ends.
func startFailures(t *testing.T, env map[string]string, js jetstream.JetStream) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	t.Cleanup(func() {
		cancel()
		<-done
	})
	go func() {
		defer close(done)
		for i := 0; ctx.Err() == nil; i++ {
			msg := requestFor(t, fmt.Sprintf("failing_%d", i), "tenant_order_0") // another request has it
			if _, err := js.PublishMsg(ctx, msg); err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			realMain(ctx, []string{"dead-letters", "replay", "--all", "--yes", "--wait", "0s"}, envconfig.MapLookuper(env),
				nil, io.Discard, io.Discard)
		}
	}()
}

// checkCopy serves a copy. Each announced tenant must be there, and each request in it must get its outcome.
func checkCopy(t *testing.T, dir, report string) {
	t.Helper()
	d := sqliteIn(t, dir)
	var announced int
	_, after, _ := strings.Cut(report, "stream "+events.StreamEvents+", messages: ")
	if _, err := fmt.Sscan(after, &announced); err != nil || announced == 0 {
		t.Fatalf("%v in %s", err, report)
	}
	registered := d.tenants()
	env := embeddedEnv(t, dir)
	// Thousands of files, with the race detector, beside other work.
	code, stdout, stderr := commandWithin(t, 5*testkit.Patience, env, "tenants", "verify")
	if code != 0 {
		t.Errorf("verify exits with %d: %s%s", code, testkit.Tail(stdout), stderr)
	}
	p, js := serveEmbedded(t, env)
	awaitSettled(t, js)
	replays := map[string]int{}   // the highest replay of the outcomes, by request
	failed := map[string]string{} // the dead letter's subject of requests that failed, by request
	for i, e := range storedOutcomes(t, js) {
		if e.Type() == events.TypeProvisioningFailed {
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			replays[data.Request.ID] = max(replays[data.Request.ID], data.Replay)
			failed[data.Request.ID] = data.DeadLetter.Subject
			continue
		}
		data, err := events.ProvisionedFrom(e)
		testkit.Must(t, err)
		replays[data.Request.ID] = max(replays[data.Request.ID], data.Replay)
		if i < announced && !slices.Contains(registered, data.TenantID) {
			t.Errorf("%s was announced, and is not in the copied registry", data.TenantID)
		}
	}
	requests := requestsIn(t, js)
	for id, number := range requests {
		if replay, ok := replays[id]; !ok || replay < number {
			t.Errorf("request %s, replay %d, has no outcome in the copy (%d, %v)", id, number, replay, ok)
		}
	}
	letters, err := js.Stream(t.Context(), events.StreamDeadLetters)
	testkit.Must(t, err)
	for id, subject := range failed {
		if _, err := letters.GetLastMsgForSubject(t.Context(), subject); err != nil {
			t.Errorf("request %s has failed, and its dead letter is not in the copy: %v", id, err)
		}
	}
	p.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code of the copy's service", p.wait(t), 0)
	t.Logf("%d tenants, %d outcomes were copied; %d requests, %d with outcomes", len(registered), announced,
		len(requests), len(replays))
}

// requestsIn returns the highest replay of each request in the stream.
func requestsIn(t *testing.T, js jetstream.JetStream) map[string]int {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	found := map[string]int{}
	for sequence := range stream.CachedInfo().State.LastSeq {
		msg, err := stream.GetMsg(t.Context(), sequence+1)
		testkit.Must(t, err)
		e, err := events.Decode(msg.Header, msg.Data)
		testkit.Must(t, err)
		var number int
		if header := msg.Header.Get("Replay-Number"); header != "" {
			_, err = fmt.Sscan(header, &number)
			testkit.Must(t, err)
		}
		found[e.ID()] = max(found[e.ID()], number)
	}
	return found
}

// backupPoints are the places of a backup between which it can be killed.
var backupPoints = []string{
	"consumers read", "stream copied", "registry copied", "tenant copied", "backup synced", "backup in place",
}

// A backup that is killed leaves the service unharmed, and no directory of its name unless it is complete.
func TestBackupKilled(t *testing.T) {
	t.Parallel()
	const tenants = 5
	root := filepath.Join(t.TempDir(), "storage")
	env := embeddedEnv(t, root)
	service, js := serveEmbedded(t, env)
	for i := range tenants {
		publish(t, js, requestFor(t, fmt.Sprintf("order_%d", i), fmt.Sprintf("tenant_%d", i)))
	}
	awaitSettled(t, js)
	for i, point := range backupPoints {
		dir := filepath.Join(t.TempDir(), "copy")
		killed := launchBuilt(t, "crashpoints", merge(env, with("CRASH_AT", point)), "backup", dir)
		testkit.Equal(t, "exit code at "+point, killed.wait(t), -1)
		publish(t, js, requestFor(t, fmt.Sprintf("after_%d", i), fmt.Sprintf("after_%d", i)))
		awaitSettled(t, js)
		_, err := os.Stat(dir)
		testkit.Equal(t, point+": there is a backup", err == nil, point == "backup in place")
		if err == nil {
			continue
		}
		again := launch(t, env, "backup", dir)
		testkit.Equal(t, "exit code of the next backup", again.wait(t), 1)
		testkit.Contains(t, "stderr", again.stderr.String(), "rm -r "+dir+".partial")
		testkit.Must(t, os.RemoveAll(dir+".partial"))
		again = launch(t, env, "backup", dir)
		testkit.Equal(t, "exit code", again.wait(t), 0)
	}
	awaitFirstAttempts(t, sqliteIn(t, root), js, tenants+len(backupPoints), testkit.Patience)
	service.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", service.wait(t), 0)
}

// The service is stopped: its streams are read from their directory. The copy has them as they were, with the consumer of
// a subscriber where it was, and the service continues on both.
func TestBackupOfAStoppedService(t *testing.T) {
	t.Parallel()
	const tenants, read = 6, 4
	root := filepath.Join(t.TempDir(), "storage")
	env := embeddedEnv(t, root)
	service, js := serveEmbedded(t, env)
	for i := range tenants {
		publish(t, js, requestFor(t, fmt.Sprintf("order_%d", i), fmt.Sprintf("tenant_%d", i)))
	}
	awaitSettled(t, js)
	subscriber, err := js.CreateConsumer(t.Context(), events.StreamEvents, jetstream.ConsumerConfig{
		Durable: "crm", AckPolicy: jetstream.AckExplicitPolicy,
	})
	testkit.Must(t, err)
	for range read {
		msg, err := subscriber.Next()
		testkit.Must(t, err)
		testkit.Must(t, msg.DoubleAck(t.Context()))
	}
	want := streamConfigs(t, js)
	service.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code", service.wait(t), 0)

	dir := filepath.Join(t.TempDir(), "copy")
	testkit.Must(t, os.Mkdir(dir, 0o755)) // an empty directory is replaced
	code, stdout, stderr := command(t, env, "backup", dir)
	testkit.Equal(t, "exit code of backup: "+stderr, code, 0)
	for _, place := range []string{root, dir} {
		what := "service on " + filepath.Base(place)
		p, js := serveEmbedded(t, embeddedEnv(t, place))
		if got := streamConfigs(t, js); got != want {
			t.Errorf("%s has the streams\n%s\nwant\n%s", what, got, want)
		}
		subscriber, err := js.Consumer(t.Context(), events.StreamEvents, "crm")
		testkit.Must(t, err)
		testkit.Equal(t, what+": read by the subscriber", subscriber.CachedInfo().AckFloor.Stream, read)
		testkit.Equal(t, what+": waiting for the subscriber", subscriber.CachedInfo().NumPending, tenants-read)
		publish(t, js, requestFor(t, "again", "again"))
		awaitFirstAttempts(t, sqliteIn(t, place), js, tenants+1, testkit.Patience)
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)
		testkit.Must(t, os.Rename(place, place+"-away")) // the registry of the copy names the original's files
	}
	testkit.Contains(t, "stdout", stdout, fmt.Sprintf("tenants: %d, could not be copied: 0", tenants),
		"DATABASE_URL=sqlite:"+dir+" NATS_EMBEDDED_DIR="+dir+"/nats consumer run")
}

// streamConfigs returns the configuration of the three streams.
func streamConfigs(t *testing.T, js jetstream.JetStream) string {
	t.Helper()
	var all []string
	for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
		stream, err := js.Stream(t.Context(), name)
		testkit.Must(t, err)
		all = append(all, fmt.Sprintf("%+v", stream.CachedInfo().Config))
	}
	return strings.Join(all, "\n")
}

// A service that was killed leaves logs beside its files. The backup has what they contain.
func TestBackupAfterAKill(t *testing.T) {
	t.Parallel()
	const tenants = 3
	root := filepath.Join(t.TempDir(), "storage")
	env := embeddedEnv(t, root)
	service, js := serveEmbedded(t, env)
	for i := range tenants {
		publish(t, js, requestFor(t, fmt.Sprintf("order_%d", i), fmt.Sprintf("tenant_%d", i)))
	}
	awaitSettled(t, js)
	service.signal(t, syscall.SIGKILL)
	testkit.Equal(t, "exit code", service.wait(t), -1)
	dir := filepath.Join(t.TempDir(), "copy")
	code, _, stderr := command(t, env, "backup", dir)
	testkit.Equal(t, "exit code of backup: "+stderr, code, 0)
	testkit.Equal(t, "tenants in the copy", len(sqliteIn(t, dir).tenants()), tenants)
}

// A tenant's file that is missing does not keep the others from being copied.
func TestBackupWithoutATenantsFile(t *testing.T) {
	t.Parallel()
	url := natstest.Start(t)
	d := newSQLite(t)
	env := settings(d.env, with("NATS_URL", url))
	service := serve(t, env)
	js := natstest.JetStream(t, url)
	for _, tenant := range []string{"acme", "umbrella"} {
		publish(t, js, requestFor(t, tenant, tenant))
	}
	awaitSettled(t, js)
	testkit.Equal(t, "exit code", service.stop(t), 0)
	root := strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:")
	testkit.Must(t, os.Remove(filepath.Join(root, "tenant_acme", "docex.db")))

	dir := filepath.Join(t.TempDir(), "copy")
	code, stdout, stderr := command(t, env, "backup", "--database-only", dir)
	testkit.Equal(t, "exit code", code, 1)
	testkit.Equal(t, "stderr", stderr, "")
	testkit.Contains(t, "stdout", stdout, "✗ acme", filepath.Join(root, "tenant_acme", "docex.db"),
		"copied the registry, tenants: 1, could not be copied: 1", "to serve it: DATABASE_URL=sqlite:"+dir+" consumer run")
	code, stdout, _ = command(t, with("DATABASE_URL", "sqlite:"+dir), "tenants", "verify", "umbrella")
	testkit.Equal(t, "verify: "+stdout, code, 0)
	names, err := filepath.Glob(dir + "/*")
	testkit.Must(t, err)
	testkit.Equal(t, "in the copy", strings.Join(names, " "),
		dir+"/tenant__docex_system_ "+dir+"/tenant_umbrella")
}

// What cannot be copied, or where, is refused by the name of the variable or the directory, with what to do.
func TestBackupRefused(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "storage")
	env := embeddedEnv(t, root)
	service := start(t, env, "run")
	testkit.Logged(t, &service.stderr, "taking requests", "workers")
	testkit.Equal(t, "exit code", service.stop(t), 0)
	full := t.TempDir()
	testkit.Must(t, os.WriteFile(filepath.Join(full, "file"), nil, 0o644))
	for name, c := range map[string]struct {
		env  map[string]string
		args []string
		code int
		want []string
	}{
		"no directory": {nil, nil, 2, []string{"DIR is missing; usage: consumer backup DIR"}},
		"PostgreSQL": {
			with("DATABASE_URL", "postgres://localhost/tenants"),
			[]string{"copy"},
			2,
			[]string{"DATABASE_URL", "nats stream backup TENANT_REQUESTS", "pg_dump"},
		},
		"other servers": {
			with("NATS_URL", "nats://localhost"),
			[]string{"copy"},
			2,
			[]string{"NATS_URL", "nats stream backup TENANT_REQUESTS", "--database-only"},
		},
		"without its streams": {nil, []string{"copy", "--database-only"}, 2, []string{"NATS_URL", "embedded"}},
		"a file":              {nil, []string{filepath.Join(full, "file")}, 1, []string{"exists"}},
		"not empty":           {nil, []string{full}, 1, []string{full + " is not empty"}},
		"no parent":           {nil, []string{filepath.Join(full, "none", "copy")}, 1, []string{"no such file or directory"}},
		"no streams": {
			with("NATS_EMBEDDED_DIR", full),
			[]string{filepath.Join(t.TempDir(), "copy")},
			1,
			[]string{"NATS_EMBEDDED_DIR", full, "working directory"},
		},
		"no registry": {
			with("DATABASE_URL", "sqlite:"+full),
			[]string{filepath.Join(t.TempDir(), "copy")},
			1,
			[]string{"no registry at " + full},
		},
	} {
		code, stdout, stderr := command(t, merge(env, c.env), append([]string{"backup"}, c.args...)...)
		testkit.Equal(t, name+": exit code", code, c.code)
		testkit.Equal(t, name+": stdout", stdout, "")
		testkit.Contains(t, name, stderr, c.want...)
		if len(c.args) > 0 {
			for _, left := range []string{c.args[0] + ".partial", filepath.Join(filepath.Dir(c.args[0]), "copy")} {
				if _, err := os.Stat(left); err == nil {
					t.Errorf("%s: %s was left", name, left)
				}
			}
		}
	}
}

// An interrupted backup leaves nothing.
func TestBackupInterrupted(t *testing.T) {
	t.Parallel()
	root := filepath.Join(t.TempDir(), "storage")
	env := embeddedEnv(t, root)
	_, js := serveEmbedded(t, env)
	publish(t, js, requestFor(t, "order", "acme"))
	awaitSettled(t, js)
	parent := t.TempDir()
	frozen := launchBuilt(t, "crashpoints", merge(env, with("FREEZE_AT", "registry copied")),
		"backup", filepath.Join(parent, "copy"))
	testkit.Eventually(t, "the backup is frozen", frozen.isStopped)
	frozen.signal(t, os.Interrupt)
	frozen.signal(t, syscall.SIGCONT)
	testkit.Equal(t, "exit code", frozen.wait(t), 1)
	testkit.Contains(t, "stderr", frozen.stderr.String(), "interrupted")
	left, err := os.ReadDir(parent)
	testkit.Must(t, err)
	testkit.Equal(t, "left", len(left), 0)
}
