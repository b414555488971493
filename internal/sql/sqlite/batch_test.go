package sqlite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// runAsBatch blocks the leader until all calls are pending, so that they run as one batch, and returns their results.
func runAsBatch(t *testing.T, s *Store, calls ...func() error) []error {
	t.Helper()
	s.leader <- struct{}{}
	results := make([]error, len(calls))
	var wg sync.WaitGroup
	for i, call := range calls {
		wg.Go(func() { results[i] = call() })
		awaitPending(t, s, i+1)
	}
	<-s.leader
	wg.Wait()
	return results
}

// awaitPending returns when n changes are pending.
func awaitPending(t *testing.T, s *Store, n int) {
	t.Helper()
	for t.Context().Err() == nil {
		s.queue.mutex.Lock()
		waiting := len(s.queue.waiting)
		s.queue.mutex.Unlock()
		if waiting == n {
			return
		}
		runtime.Gosched()
	}
}

func cause(err error) events.CauseCode {
	var fault *pipeline.Fault
	if !errors.As(err, &fault) {
		return ""
	}
	return fault.Code
}

// tenants returns the registered tenants.
func tenants(t *testing.T, s *Store) string {
	t.Helper()
	all, err := collect(t.Context(), s.readDB, "SELECT tenant_id FROM tenant_registry WHERE NOT is_system ORDER BY 1",
		func(row scanner) (id string, err error) {
			err = row.Scan(&id)
			return id, err
		})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(all, " ")
}

// A commit to a registry that is moved away meanwhile is not reported as a success: no other process will read it.
func TestRegistryIsMovedDuringACommit(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	b := ready(t, s, "a", "a")
	registry := s.path(sql.BootstrapTenant)
	s.files.FsyncDir = func(dir string) error {
		if dir != s.Root { // within the transaction
			return filesystem.OS.FsyncDir(dir)
		}
		return os.Rename(registry, registry+".moved")
	}
	var fault *pipeline.Fault
	if err := register(t, b); !errors.As(err, &fault) || fault.Class != pipeline.Outage {
		t.Errorf("registered: %v", err)
	}
	if err := os.Rename(registry+".moved", registry); err != nil {
		t.Fatal(err)
	}
	if got := tenants(t, s); got != "a" {
		t.Errorf("registered: %q; the commit was to succeed", got)
	}
}

// Invariant 7: pending changes share one transaction, in which each can fail without the others.
func TestPendingChangesShareACommit(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if err := register(t, ready(t, s, "first", "exists")); err != nil {
		t.Fatal(err)
	}
	builds := map[string]*build{}
	for _, tenant := range []string{"a", "b", "c", "taken", "twin"} {
		builds[tenant] = ready(t, s, tenant, tenant)
	}
	late := ready(t, s, "twin too", "TWIN") // reads a row that is not committed yet
	if err := os.WriteFile(builds["taken"].path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	failing := begun(t, s, "fails", "fails")
	var roots atomic.Int32
	s.files.FsyncDir = func(dir string) error {
		if dir == s.Root {
			roots.Add(1)
		}
		return filesystem.OS.FsyncDir(dir)
	}
	registering := func(b *build) func() error { return func() error { return register(t, b) } }
	results := runAsBatch(t, s,
		registering(builds["a"]), registering(builds["taken"]), registering(builds["b"]), registering(builds["twin"]),
		registering(late), func() error {
			o, err := s.RecordFailure(t.Context(), failing.claim, pipeline.Failure{Outcome: pipeline.Outcome{ID: "failure"}})
			if err == nil && o.ID != "failure" {
				err = fmt.Errorf("%+v", o)
			}
			return err
		},
		registering(builds["c"]), func() error { return s.Ping(t.Context()) })
	for i, want := range []events.CauseCode{1: "", 4: events.CauseTenantExists, 7: ""} {
		err := results[i]
		if i == 1 && errors.Is(err, os.ErrExist) || cause(err) == want && (err != nil) == (want != "") {
			continue
		}
		t.Errorf("%d: %v, want %q", i, err, want)
	}
	if got, want := tenants(t, s), "a b c exists twin"; got != want {
		t.Errorf("registered: %s, want %s", got, want)
	}
	if n := roots.Load(); n != 1 {
		t.Errorf("the root was synced %d times, want once: one transaction", n)
	}
	if string(content(t, builds["taken"].path)) != "precious" {
		t.Error("a file was replaced")
	}
	for name, b := range map[string]*build{"taken": builds["taken"], "late": late} {
		if left := b.Close(t.Context()); len(left) > 0 {
			t.Errorf("%s: left behind: %v", name, left)
		}
	}
}

// A caller whose context ends while its change is pending withdraws it.
func TestPendingChangeIsWithdrawn(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	stays, leaves := ready(t, s, "1", "stays"), ready(t, s, "2", "leaves")
	ctx, stop := context.WithCancelCause(t.Context())
	stopped := errors.New("stopped")
	s.leader <- struct{}{}
	first, second := make(chan error, 1), make(chan error, 1)
	go func() { first <- register(t, stays) }()
	awaitPending(t, s, 1)
	go func() { second <- leaves.Register(ctx, tenantOf(leaves), outcomeOf(leaves)) }()
	awaitPending(t, s, 2)
	stop(stopped)
	if err := <-second; !errors.Is(err, stopped) {
		t.Error(err)
	}
	awaitPending(t, s, 1)
	<-s.leader
	if err := <-first; err != nil {
		t.Error(err)
	}
	if got := tenants(t, s); got != "stays" {
		t.Errorf("registered: %s", got)
	}
	if err := s.write(ctx, &pendingChange{}); !errors.Is(err, stopped) { // it is not even queued
		t.Error(err)
	}
}

// A caller whose change is being written gets the result, even if its context ends.
func TestChangeBeingWrittenIsNotWithdrawn(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	ctx, stop := context.WithCancel(t.Context())
	s.files.FsyncDir = func(dir string) error {
		stop()
		return filesystem.OS.FsyncDir(dir)
	}
	registering := func(b *build) func() error {
		return func() error { return b.Register(ctx, tenantOf(b), outcomeOf(b)) }
	}
	results := runAsBatch(t, s, registering(ready(t, s, "1", "a")), registering(ready(t, s, "2", "b")))
	if ctx.Err() == nil || errors.Join(results...) != nil {
		t.Error(results)
	}
	if got := tenants(t, s); got != "a b" {
		t.Errorf("registered: %s", got)
	}
}

// A transaction that is not committed fails all its changes, also one that had already failed by itself. The files
// stay, recognized as the requests' own, and the next attempts use them; but if a directory could not be synced, the
// next attempts create the files again.
func TestTenantIsRegisteredOnlyIfDurable(t *testing.T) {
	t.Parallel()
	errDisk := errors.New("disk fault")
	for name, c := range map[string]struct {
		stays       bool
		inject, fix func(s *Store) error
	}{
		"sync": {
			false,
			func(s *Store) error {
				s.files.FsyncDir = func(dir string) error {
					if strings.HasSuffix(dir, "tenant_b") {
						return errDisk
					}
					return filesystem.OS.FsyncDir(dir)
				}
				return nil
			},
			func(s *Store) error { s.files = filesystem.OS; return nil },
		},
		"commit": {
			true,
			func(s *Store) error { // a constraint that is checked at the commit
				_, err := s.asyncDB.Exec(`CREATE TABLE whole (id INTEGER PRIMARY KEY);
					CREATE TABLE part (id INTEGER REFERENCES whole DEFERRABLE INITIALLY DEFERRED);
					CREATE TRIGGER torn AFTER INSERT ON tenant_registry BEGIN INSERT INTO part VALUES (1); END`)
				return err
			},
			func(s *Store) error { _, err := s.asyncDB.Exec("DROP TRIGGER torn"); return err },
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := openStore(t)
			if err := c.inject(s); err != nil {
				t.Fatal(err)
			}
			builds := []*build{ready(t, s, "1", "a"), ready(t, s, "2", "b"), ready(t, s, "3", "c"), ready(t, s, "4", "A")}
			var calls []func() error
			for _, b := range builds {
				calls = append(calls, func() error { return register(t, b) })
			}
			for i, err := range runAsBatch(t, s, calls...) {
				if err == nil || cause(err) != "" {
					t.Errorf("%s: %v", builds[i].tenant, err)
				}
			}
			if got := tenants(t, s); got != "" {
				t.Errorf("registered: %s", got)
			}
			if err := c.fix(s); err != nil {
				t.Fatal(err)
			}
			for i, b := range builds[:3] {
				if left := b.Close(t.Context()); slices.Equal(left, []string{b.path}) != c.stays {
					t.Errorf("%s: left behind: %v", b.tenant, left)
				}
				again := ready(t, s, fmt.Sprint(i+1), b.tenant)
				if stayed := again.temp == nil; stayed != c.stays || again.claim.Attempt != 2 {
					t.Errorf("%s: attempt %d uses the file: %v", b.tenant, again.claim.Attempt, stayed)
				}
				if err := register(t, again); err != nil {
					t.Error(err)
				}
			}
			if left := builds[3].Close(t.Context()); len(left) > 0 {
				t.Errorf("A: left behind: %v", left)
			}
			if got := tenants(t, s); got != "a b c" {
				t.Errorf("registered: %s", got)
			}
		})
	}
}

// The directory entries of a file placed by a crashed attempt are durable before its tenant is registered, even if the
// file itself needs no more work.
func TestExistingFileIsSynced(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	crashed := ready(t, s, "1", "acme")
	if err := crashed.finishTemp(); err != nil {
		t.Fatal(err)
	}
	if err := crashed.linkIntoPlace(); err != nil {
		t.Fatal(err)
	}
	var mutex sync.Mutex
	var synced []string
	s.files.FsyncDir = func(dir string) error {
		mutex.Lock()
		defer mutex.Unlock()
		synced = append(synced, dir)
		return filesystem.OS.FsyncDir(dir)
	}
	if err := register(t, ready(t, s, "1", "acme")); err != nil {
		t.Fatal(err)
	}
	slices.Sort(synced)
	if want := []string{s.Root, filepath.Dir(s.path("acme"))}; !slices.Equal(synced, want) {
		t.Errorf("synced: %v, want %v", synced, want)
	}
}

// A change that panics does not block later changes.
func TestPanicWhileWriting(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	var panics atomic.Int32
	failing := &pendingChange{do: func(context.Context, *transaction) error { panic("a fault in the program") }}
	call := func(c *pendingChange) func() error {
		return func() error {
			defer func() {
				if recover() != nil {
					panics.Add(1)
				}
			}()
			return s.write(t.Context(), c)
		}
	}
	fine := func() *pendingChange {
		return &pendingChange{do: func(context.Context, *transaction) error { return nil }}
	}
	runAsBatch(t, s, call(fine()), call(failing), call(fine()))
	// The leader panics. The change is tried three times in total, each time by its own caller or in another leader's batch.
	if n := panics.Load(); n < 1 || n > 3 {
		t.Errorf("%d panics, want one to three", n)
	}
	if err := s.write(t.Context(), fine()); err != nil {
		t.Error(err)
	}
}
