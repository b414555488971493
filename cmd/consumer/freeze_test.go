package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// The freeze matrix: a replica is stopped at a point between two durable effects, beyond AckWait and every lease.
// Another replica settles the request, an operator removes or replays the dead letter, and the frozen replica continues
// with what it has in memory. It must not
//
//  1. publish a second outcome of a request or a replay,
//  2. bring back a dead letter that was removed, or replace that of a later replay,
//  3. publish an outcome after that of a later replay,
//  4. change the registry or a tenant.
const (
	frozenTenant = "frozen"
	frozenOrder  = "order-frozen"
)

// frozenScenario is a scenario of the freeze matrix.
type frozenScenario struct {
	scenario
	env map[string]string
	// locked are the points at which a process on SQLite holds a lock that other processes wait for: the request
	// cannot be settled before the frozen process continues.
	locked []string
	// fix removes the cause, so that a replay succeeds; nil where nothing can.
	fix func(t *testing.T, d testDatabase)
	// passes is set where a replay succeeds although nothing was fixed.
	passes bool
}

// failurePoints are further points that every failure passes.
var failurePoints = []string{"dead letter allowed", "dead letter noted", "outcome allowed", "outcome published"}

// frozenScenarios are those of the crash matrix, with further points that matter only to a frozen replica. A point may
// be limited to a subject: "point/subject".
func frozenScenarios() map[string]frozenScenario {
	all := map[string]frozenScenario{}
	for name, c := range scenarios {
		all[name] = frozenScenario{scenario: c}
	}
	extend := func(name string, change func(*frozenScenario)) {
		c := all[name]
		change(&c)
		all[name] = c
	}
	extend("provisioned", func(c *frozenScenario) {
		// Within the write transaction of the registry.
		c.locked = []string{"file linked", "file placed", "directory synced"}
	})
	extend("existing boundary", func(c *frozenScenario) {
		// Within the write transaction of the tenant's file, which existed.
		c.locked = []string{"step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended"}
	})
	extend("boundary differs", func(c *frozenScenario) {
		c.points = slices.Concat([]string{"delivered", "claimed"}, c.points, failurePoints)
		c.fix = removeBoundary
	})
	for _, name := range []string{"refused", "undecodable"} {
		extend(name, func(c *frozenScenario) { c.points = slices.Concat(c.points, failurePoints) })
	}
	// The only attempt is frozen while another replica decides that no attempt is left.
	all["exhausted"] = frozenScenario{
		scenario: scenario{
			cause:   events.CauseAttemptsExhausted,
			points:  []string{"claimed", "step 0 ended", "step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended"},
			sqlite:  []string{"file finished"},
			request: requestFor,
		},
		env:    with("MAX_ATTEMPTS", "1"),
		fix:    func(*testing.T, testDatabase) {},
		passes: true,
	}
	return all
}

// interference is what happens after another replica has settled the request and before the frozen one continues.
type interference struct {
	name                string
	fix, replay, remove bool
}

var interferences = []interference{
	{name: "settled"},
	{name: "removed", remove: true},
	{name: "failed again", replay: true},
	{name: "failed again and removed", replay: true, remove: true},
	{name: "fixed and replayed", fix: true, replay: true},
}

// frozenCase is one case of the matrix.
type frozenCase struct {
	frozenScenario
	open         func(*testing.T) testDatabase
	name         string // engine, scenario, point and interference
	point        string
	then         interference
	blocksOthers bool // the others cannot settle the request before the frozen replica continues
	drop         bool // the NATS server closes the connection of the frozen replica
	withinWindow bool // it continues before the duplicate window of the outcomes has passed
}

// frozenCases are all cases on both engines.
func frozenCases() (all []frozenCase) {
	for engine, open := range map[string]func(*testing.T) testDatabase{"postgres": newPostgres, "sqlite": newSQLite} {
		for name, c := range frozenScenarios() {
			points := slices.Clone(c.points)
			if engine == "sqlite" {
				points = append(points, c.sqlite...)
			}
			slices.Sort(points)
			for _, point := range slices.Compact(points) {
				blocksOthers := engine == "sqlite" && slices.Contains(c.locked, point)
				for _, then := range interferences {
					if c.allows(then) && (!blocksOthers || then == interferences[0]) {
						all = append(all, frozenCase{
							frozenScenario: c, open: open, point: point, then: then, blocksOthers: blocksOthers,
							name: strings.Join([]string{engine, name, point, then.name}, "/"),
							// For an hour the stream drops an outcome that is published after a replay; later, subscribers see
							// a duplicate. The outcome of an undecodable message names no request, so that of its replay is
							// unrelated.
							withinWindow: point == "outcome allowed" || c.cause == events.CauseUndecodableEvent,
						})
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b frozenCase) int { return strings.Compare(a.name, b.name) })
	return all
}

// allows reports whether the interference can happen to the scenario's request.
func (c frozenScenario) allows(then interference) bool {
	switch {
	case c.cause == "":
		return !then.replay && !then.remove
	case then.fix:
		return c.fix != nil
	}
	return !then.replay || !c.passes
}

// The cases that have found bugs, and one of each other kind. make soak runs all.
func TestFrozenReplica(t *testing.T) {
	t.Parallel()
	chosen := []string{
		"postgres/provisioned/step 4 ended/settled",
		"sqlite/provisioned/file linked/settled",
		"postgres/refused/failure recorded/failed again and removed",
		"sqlite/refused/dead letter published/failed again",
		"postgres/boundary differs/claimed/fixed and replayed",
		"postgres/boundary differs/failure recorded/fixed and replayed",
		"sqlite/boundary differs/failure recorded/removed",
		"sqlite/boundary differs/dead letter noted/fixed and replayed",
		"postgres/exhausted/step 4 ended/fixed and replayed",
		"sqlite/exhausted/file finished/removed",
		"sqlite/undecodable/dead letter published/removed",
		"postgres/undecodable/dead letter allowed/failed again and removed",
		"sqlite/refused/dead letter allowed/removed",
		"postgres/boundary differs/dead letter allowed/fixed and replayed",
		"postgres/refused/outcome allowed/failed again",
	}
	runFrozen(t, 3, slices.DeleteFunc(frozenCases(), func(c frozenCase) bool { return !slices.Contains(chosen, c.name) }))
}

// runFrozen runs cases in parallel. t.Parallel would limit them to the number of processors, and these mostly wait.
func runFrozen(t *testing.T, parallel int, cases []frozenCase) {
	t.Helper()
	queue := make(chan frozenCase)
	var workers sync.WaitGroup
	for range parallel {
		workers.Go(func() {
			for c := range queue {
				t.Run(c.name, c.run)
			}
		})
	}
	for _, c := range cases {
		queue <- c
	}
	close(queue)
	workers.Wait()
}

func (c frozenCase) run(t *testing.T) {
	d := withIdleTimeout(t, c.open(t))
	natsURL := natstest.Start(t, func(o *server.Options) {
		if c.drop {
			o.PingInterval, o.MaxPingsOut = 500*time.Millisecond, 1
		}
	})
	env := settings(d.env, c.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
	js := natstest.JetStream(t, natsURL)
	a := c.startFrozen(t, d, js, env)

	b := launch(t, env)
	want := []events.CauseCode{c.cause} // of the outcome of each replay
	if c.blocksOthers {
		testkit.Eventually(t, "the other replica waits for the lock", func() bool { return strings.Contains(b.stderr.String(), "SQLITE_BUSY") })
	} else {
		awaitSettled(t, js)
		want = append(want, c.interfere(t, d, env, js)...)
	}
	a.signal(t, syscall.SIGCONT)
	if c.drop {
		testkit.Logged(t, &a.stderr, "NATS connection lost; reconnecting", "error")
	}
	c.finish(t, d, js, a, b, want)
}

// startFrozen returns a replica that is stopped at the point, with the request in flight.
func (c frozenCase) startFrozen(t *testing.T, d testDatabase, js jetstream.JetStream, env map[string]string) *replica {
	t.Helper()
	point, about, _ := strings.Cut(c.point, "/")
	r := c.startReplica(t, d, js, merge(env, with("FREEZE_AT", point), with("FREEZE_ABOUT", about)))
	testkit.Eventually(t, "the replica is frozen: "+c.point, r.isStopped)
	return r
}

// startReplica starts a replica, and publishes the request.
func (c frozenCase) startReplica(t *testing.T, d testDatabase, js jetstream.JetStream, env map[string]string) *replica {
	t.Helper()
	r := &replica{process: launchBuilt(t, "crashpoints", merge(env, with("HTTP_ADDR", "127.0.0.1:0")))}
	r.http = "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
	testkit.Logged(t, &r.stderr, "taking requests", "workers")
	if c.prepare != nil {
		c.prepare(d, frozenTenant)
	}
	publish(t, js, c.request(t, frozenOrder, frozenTenant))
	return r
}

// finish waits until the stale replica is idle, stops both, and checks the result.
func (c frozenCase) finish(
	t *testing.T, d testDatabase, js jetstream.JetStream, stale *replica, other *process, want []events.CauseCode,
) {
	t.Helper()
	publish(t, js, requestFor(t, "order-1", "tenant_1"))
	awaitSettled(t, js)
	other.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code of the other replica", other.wait(t), 0)
	stale.awaitIdle(t, js)
	stale.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code of the stale replica", stale.wait(t), 0)
	c.check(t, d, js, want)
}

// isStopped reports whether SIGSTOP has stopped the process.
func (p *process) isStopped() bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", p.Process.Pid))
	if err != nil {
		return false
	}
	// The state follows the name, which is in parentheses and may hold any character.
	_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')'):], []byte(" "))
	return bytes.HasPrefix(state, []byte("T"))
}

// interfere acts as the operator. It returns the cause of the outcome of the replay, if there is one.
func (c frozenCase) interfere(t *testing.T, d testDatabase, env map[string]string, js jetstream.JetStream) (more []events.CauseCode) {
	t.Helper()
	operate := func(args ...string) {
		t.Helper()
		letters := deadLetterHeaders(t, js)
		if len(letters) != 1 {
			t.Fatalf("%d dead letters before %v", len(letters), args)
		}
		code, stdout, stderr := command(t, env, slices.Concat([]string{"dead-letters"}, args, []string{letters[0].Get("Dead-Letter-Key")})...)
		if code != 0 {
			t.Fatalf("dead-letters %v: exit code %d: %s%s", args, code, stdout, stderr)
		}
	}
	if c.then.fix {
		c.fix(t, d)
	}
	if c.then.replay {
		operate("replay", "--wait", "0s")
		awaitSettled(t, js)
		cause := c.cause
		if c.then.fix {
			cause = ""
		}
		more = append(more, cause)
		if !c.withinWindow { // within the window the stream itself drops what is published again
			natstest.PassDuplicateWindow(t, js, events.StreamEvents, events.TypeProvisioned)
		}
	}
	if c.then.remove {
		operate("remove", "--yes")
	}
	return more
}

// awaitIdle waits until the replica, the only one left, has finished all that it has received.
func (r *replica) awaitIdle(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	// Messages arrive in order: once this one is settled, earlier ones have been received.
	publish(t, js, requestFor(t, "order-2", "tenant_2"))
	awaitSettled(t, js)
	testkit.Eventually(t, "the replica has no request in flight and is ready", func() bool {
		_, counts := get(t, r.http+"/metrics")
		code, _ := get(t, r.http+"/readyz")
		return strings.Contains(counts, "\ntenant_provisioner_requests_in_hand 0\n") && code == http.StatusOK
	})
}

// check compares the result with the causes of the outcomes of the request, one for each replay; "" for success.
func (c frozenCase) check(t *testing.T, d testDatabase, js jetstream.JetStream, want []events.CauseCode) {
	t.Helper()
	request := frozenOrder
	if c.cause == events.CauseUndecodableEvent {
		request = "" // its outcome names none
	}
	all := outcomesByRequest(t, js)
	compareOutcomes(t, request, all[request], want, !c.then.replay || c.withinWindow)
	for _, other := range []string{"order-1", "order-2"} {
		compareOutcomes(t, other, all[other], []events.CauseCode{""}, true)
	}
	testkit.Equal(t, "requests with outcomes", len(all), 3)

	last := len(want) - 1
	letters, tenants := []string{}, []string{"tenant_1", "tenant_2"}
	switch {
	case want[last] == "":
		tenants = slices.Concat([]string{frozenTenant}, tenants)
	case !c.then.remove:
		letters = append(letters, strconv.Itoa(last))
	}
	replays := []string{}
	for _, header := range deadLetterHeaders(t, js) {
		replays = append(replays, header.Get("Dead-Letter-Replay"))
	}
	testkit.Equal(t, "dead letters, by replay", fmt.Sprint(replays), fmt.Sprint(letters))
	testkit.Equal(t, "registered tenants", fmt.Sprint(d.tenants()), fmt.Sprint(tenants))
	verifyTenants(t, d, len(tenants)+1)
	testkit.Equal(t, "leftovers", fmt.Sprint(d.leftovers()), "[]")
}

// publishedOutcome is a message of the stream of outcomes.
type publishedOutcome struct {
	id     string
	replay int
	cause  events.CauseCode // empty: a success
}

func (o publishedOutcome) String() string {
	if o.cause == "" {
		return fmt.Sprintf("replay %d: provisioned", o.replay)
	}
	return fmt.Sprintf("replay %d: %s", o.replay, o.cause)
}

// outcomesByRequest lists the messages of the stream of outcomes in its order, by request.
func outcomesByRequest(t *testing.T, js jetstream.JetStream) map[string][]publishedOutcome {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	all := map[string][]publishedOutcome{}
	for sequence := range stream.CachedInfo().State.LastSeq {
		msg, err := stream.GetMsg(t.Context(), sequence+1)
		if errors.Is(err, jetstream.ErrMsgNotFound) { // a probe
			continue
		}
		testkit.Must(t, err)
		e, err := events.Decode(msg.Header, msg.Data)
		testkit.Must(t, err)
		outcome, request := publishedOutcome{id: e.ID()}, ""
		if e.Type() == events.TypeProvisioned {
			data, err := events.ProvisionedFrom(e)
			testkit.Must(t, err)
			outcome.replay, request = data.Replay, data.Request.ID
		} else {
			data, err := events.FailedFrom(e)
			testkit.Must(t, err)
			outcome.replay, outcome.cause = data.Replay, data.Cause.Code
			if data.Request != nil {
				request = data.Request.ID
			}
		}
		all[request] = append(all[request], outcome)
	}
	return all
}

// compareOutcomes compares the outcomes of a request, in the order of the stream, with the cause that each replay must
// have. Where the stream does not drop duplicates, the last one may be there more than once.
func compareOutcomes(t *testing.T, request string, got []publishedOutcome, want []events.CauseCode, dropsDuplicates bool) {
	t.Helper()
	ids, last := map[string]int{}, 0
	for _, o := range got {
		ids[o.id]++
		if o.replay < last {
			t.Errorf("request %q: an outcome was published after that of a later replay: %v", request, got)
		}
		last = max(last, o.replay)
		if o.replay >= len(want) || o.cause != want[o.replay] {
			t.Errorf("request %q: unexpected outcome %v", request, o)
		}
	}
	if len(ids) != len(want) || dropsDuplicates && len(got) != len(want) {
		t.Errorf("request %q: %d outcomes, %d messages for %d replays: %v", request, len(ids), len(got), len(want)-1, got)
	}
}

// deadLetterHeaders are the headers of all dead letters.
func deadLetterHeaders(t *testing.T, js jetstream.JetStream) (all []nats.Header) {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamDeadLetters)
	testkit.Must(t, err)
	state := stream.CachedInfo().State
	for sequence := state.FirstSeq; sequence <= state.LastSeq && state.Msgs > 0; sequence++ {
		msg, err := stream.GetMsg(t.Context(), sequence)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue
		}
		testkit.Must(t, err)
		all = append(all, msg.Header)
	}
	return all
}

// withIdleTimeout makes PostgreSQL end the transactions of a frozen client soon.
func withIdleTimeout(t *testing.T, d testDatabase) testDatabase {
	t.Helper()
	if d.sqlite() {
		return d
	}
	u, err := url.Parse(d.env["DATABASE_URL"])
	testkit.Must(t, err)
	query := u.Query()
	query.Set("idle_in_transaction_session_timeout", "1500") // ms
	u.RawQuery = query.Encode()
	d.env = with("DATABASE_URL", u.String())
	return d
}

// removeBoundary removes the boundary of the frozen tenant.
func removeBoundary(t *testing.T, d testDatabase) {
	t.Helper()
	if d.sqlite() {
		testkit.Must(t, os.RemoveAll(filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_"+frozenTenant)))
		return
	}
	execute(t, "pgx", d.env["DATABASE_URL"], "", `DROP SCHEMA "tenant_`+frozenTenant+`" CASCADE`)
}
