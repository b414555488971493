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

// The freeze matrix: a replica is stopped at a place between two durable effects, beyond AckWait and every lease.
// Another replica settles the request in the meantime, an operator removes or replays what has failed, and the frozen
// replica goes on with what it has in memory. It must not
//
//  1. make a second outcome of a request or a replay,
//  2. bring back a dead letter that was removed, or replace that of a later replay,
//  3. publish an outcome after that of a later replay,
//  4. change the registry or a tenant.
const (
	frozenTenant = "frozen"
	frozenOrder  = "order-frozen"
)

// frozenCourse is a course of the freeze matrix.
type frozenCourse struct {
	course
	env map[string]string
	// locked are the places at which a process on SQLite holds a lock that other processes wait for: the request
	// cannot be settled before the frozen process goes on.
	locked []string
	// fix removes the cause, so that a replay succeeds; nil where nothing can.
	fix func(t *testing.T, d testDatabase)
	// passes is set where a replay succeeds although nothing was fixed.
	passes bool
}

// failurePlaces are places that every failure passes, beside those of the crash matrix.
var failurePlaces = []string{"dead letter allowed", "dead letter noted", "outcome allowed", "outcome published"}

// frozenCourses are those of the crash matrix, with the places that matter to a frozen replica only. A place may be
// limited to a subject: "place/subject".
func frozenCourses() map[string]frozenCourse {
	all := map[string]frozenCourse{}
	for name, c := range courses {
		all[name] = frozenCourse{course: c}
	}
	extend := func(name string, change func(*frozenCourse)) {
		c := all[name]
		change(&c)
		all[name] = c
	}
	extend("provisioned", func(c *frozenCourse) {
		// Within the write transaction of the registry.
		c.locked = []string{"file linked", "file placed", "directory synced"}
	})
	extend("failed in step 4", func(c *frozenCourse) {
		c.places = slices.Concat([]string{"delivered", "claimed", "step 0 ended", "step 2 ended"}, c.places, failurePlaces)
		// Within the write transaction of the tenant's file, which was there.
		c.locked = []string{"step 1 ended", "step 2 ended", "step 3 ended"}
		c.fix = removeBoundary
	})
	for _, name := range []string{"refused", "undecodable"} {
		extend(name, func(c *frozenCourse) { c.places = slices.Concat(c.places, failurePlaces) })
	}
	// The only attempt stands still while another replica concludes that no attempt is left.
	all["exhausted"] = frozenCourse{
		course: course{
			cause:   events.CauseAttemptsExhausted,
			places:  []string{"claimed", "step 0 ended", "step 1 ended", "step 2 ended", "step 3 ended", "step 4 ended"},
			sqlite:  []string{"file finished"},
			request: requestFor,
		},
		env:    with("MAX_ATTEMPTS", "1"),
		fix:    func(*testing.T, testDatabase) {},
		passes: true,
	}
	return all
}

// interference is what happens after another replica has settled the request and before the frozen one goes on.
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
	frozenCourse
	open  func(*testing.T) testDatabase
	name  string // engine, course, place and interference
	place string
	then  interference
	waits bool // the others cannot settle the request before the frozen replica goes on
	drop  bool // the NATS server gives up the connection of the frozen replica
	soon  bool // it goes on before the duplicate window of the outcomes has passed
}

// frozenCases are all cases on both engines.
func frozenCases() (all []frozenCase) {
	for engine, open := range map[string]func(*testing.T) testDatabase{"postgres": newPostgres, "sqlite": newSQLite} {
		for name, c := range frozenCourses() {
			places := slices.Clone(c.places)
			if engine == "sqlite" {
				places = append(places, c.sqlite...)
			}
			slices.Sort(places)
			for _, place := range slices.Compact(places) {
				waits := engine == "sqlite" && slices.Contains(c.locked, place)
				for _, then := range interferences {
					if c.takes(then) && (!waits || then == interferences[0]) {
						all = append(all, frozenCase{
							frozenCourse: c, open: open, place: place, then: then, waits: waits,
							name: strings.Join([]string{engine, name, place, then.name}, "/"),
							// An outcome that is on its way when a replay ends is dropped by the stream for an hour, and is a
							// repetition to subscribers after that. What is not an event has an outcome without a request: that of a
							// replay of it has nothing to do with it.
							soon: place == "outcome allowed" || c.cause == events.CauseUndecodableEvent,
						})
					}
				}
			}
		}
	}
	slices.SortFunc(all, func(a, b frozenCase) int { return strings.Compare(a.name, b.name) })
	return all
}

// takes reports whether that can happen to the course's request.
func (c frozenCourse) takes(then interference) bool {
	switch {
	case c.cause == "":
		return !then.replay && !then.remove
	case then.fix:
		return c.fix != nil
	}
	return !then.replay || !c.passes
}

// Those of the matrix that have shown faults, and one of each kind beside. All of it: make soak.
func TestFrozenReplica(t *testing.T) {
	t.Parallel()
	chosen := []string{
		"postgres/provisioned/step 4 ended/settled",
		"sqlite/provisioned/file linked/settled",
		"postgres/refused/failure recorded/failed again and removed",
		"sqlite/refused/dead letter published/failed again",
		"postgres/failed in step 4/claimed/fixed and replayed",
		"postgres/failed in step 4/failure recorded/fixed and replayed",
		"sqlite/failed in step 4/failure recorded/removed",
		"sqlite/failed in step 4/dead letter noted/fixed and replayed",
		"postgres/exhausted/step 4 ended/fixed and replayed",
		"sqlite/exhausted/file finished/removed",
		"sqlite/undecodable/dead letter published/removed",
		"postgres/undecodable/dead letter allowed/failed again and removed",
		"sqlite/refused/dead letter allowed/removed",
		"postgres/failed in step 4/dead letter allowed/fixed and replayed",
		"postgres/refused/outcome allowed/failed again",
	}
	runFrozen(t, 3, slices.DeleteFunc(frozenCases(), func(c frozenCase) bool { return !slices.Contains(chosen, c.name) }))
}

// runFrozen runs cases, so many at once. t.Parallel would run as many as there are processors, and these mostly wait.
func runFrozen(t *testing.T, atOnce int, cases []frozenCase) {
	t.Helper()
	queue := make(chan frozenCase)
	var workers sync.WaitGroup
	for range atOnce {
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
	d := impatient(t, c.open(t))
	natsURL := natstest.Start(t, func(o *server.Options) {
		if c.drop {
			o.PingInterval, o.MaxPingsOut = 500*time.Millisecond, 1
		}
	})
	env := settings(d.env, c.env, with("NATS_URL", natsURL), with("ACK_WAIT", "1s"))
	js := natstest.JetStream(t, natsURL)
	a := c.frozen(t, d, js, env)

	b := launch(t, env)
	want := []events.CauseCode{c.cause} // of the outcome of each replay
	if c.waits {
		testkit.Eventually(t, "the other replica waits for the lock", func() bool { return strings.Contains(b.stderr.String(), "SQLITE_BUSY") })
	} else {
		settled(t, js)
		want = append(want, c.interfere(t, d, env, js)...)
	}
	a.signal(t, syscall.SIGCONT)
	if c.drop {
		testkit.Logged(t, &a.stderr, "NATS connection lost; reconnecting", "error")
	}
	c.ends(t, d, js, a, b, want)
}

// frozen returns a replica that has been stopped at the place, with the request in hand.
func (c frozenCase) frozen(t *testing.T, d testDatabase, js jetstream.JetStream, env map[string]string) *replica {
	t.Helper()
	place, about, _ := strings.Cut(c.place, "/")
	r := c.started(t, d, js, merge(env, with("FREEZE_AT", place), with("FREEZE_ABOUT", about)))
	testkit.Eventually(t, "the replica is frozen: "+c.place, r.isStopped)
	return r
}

// started returns a replica, and publishes the request.
func (c frozenCase) started(t *testing.T, d testDatabase, js jetstream.JetStream, env map[string]string) *replica {
	t.Helper()
	r := &replica{process: launchBuilt(t, "crashpoints", merge(env, with("HTTP_ADDR", "127.0.0.1:0")))}
	r.http = "http://" + testkit.Logged(t, &r.stderr, "HTTP server is up", "addr")
	testkit.Logged(t, &r.stderr, "taking requests", "workers")
	if c.plant != nil {
		c.plant(d, frozenTenant)
	}
	publish(t, js, c.request(t, frozenOrder, frozenTenant))
	return r
}

// ends waits until the stale replica has come to rest, ends both, and judges.
func (c frozenCase) ends(
	t *testing.T, d testDatabase, js jetstream.JetStream, stale *replica, other *process, want []events.CauseCode,
) {
	t.Helper()
	publish(t, js, requestFor(t, "order-1", "tenant_1"))
	settled(t, js)
	other.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code of the other replica", other.wait(t), 0)
	stale.rests(t, js)
	stale.signal(t, syscall.SIGTERM)
	testkit.Equal(t, "exit code of the stale replica", stale.wait(t), 0)
	c.judge(t, d, js, want)
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

// interfere is what the operator does. It returns the cause of the outcome of the replay, if there is one.
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
		settled(t, js)
		cause := c.cause
		if c.then.fix {
			cause = ""
		}
		more = append(more, cause)
		if !c.soon { // within the window the stream itself drops what is published again
			passDuplicateWindow(t, js)
		}
	}
	if c.then.remove {
		operate("remove")
	}
	return more
}

// passDuplicateWindow has the stream of outcomes forget the ids of what it holds, as after an hour.
func passDuplicateWindow(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	const shortest = 100 * time.Millisecond // that the server allows
	stream, err := js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	probe := func() (known bool) {
		t.Helper()
		msg := nats.NewMsg(events.TypeProvisioned)
		msg.Header.Set(jetstream.MsgIDHeader, "probe")
		ack, err := js.PublishMsg(t.Context(), msg)
		testkit.Must(t, err)
		if !ack.Duplicate {
			testkit.Must(t, stream.DeleteMsg(t.Context(), ack.Sequence))
		}
		return ack.Duplicate
	}
	set := func(window time.Duration) {
		t.Helper()
		config := stream.CachedInfo().Config
		config.Duplicates = window
		_, err := js.UpdateStream(t.Context(), config)
		testkit.Must(t, err)
	}
	probe()
	// An update starts the timer that removes ids. It may fire before the new window is in place, and then not for an
	// hour, so that one update is not enough. (nats-server 2.15.2, stream.go, update and purgeMsgIds)
	window := shortest
	testkit.Eventually(t, "the stream has forgotten the ids", func() bool {
		window = 2*shortest + time.Millisecond - window
		set(window)
		return !probe()
	})
	set(stream.CachedInfo().Config.Duplicates) // a replica that checks the stream insists on it
}

// rests waits until the replica, which is the only one, has finished all that it ever received.
func (r *replica) rests(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	// Messages arrive in order: once this one is settled, those from before have been received.
	publish(t, js, requestFor(t, "order-2", "tenant_2"))
	settled(t, js)
	testkit.Eventually(t, "the replica has nothing in hand and is ready", func() bool {
		_, counts := get(t, r.http+"/metrics")
		code, _ := get(t, r.http+"/readyz")
		return strings.Contains(counts, "\ntenant_provisioner_requests_in_hand 0\n") && code == http.StatusOK
	})
}

// judge compares all that is there with the causes of the outcomes of the request, one for each replay; "" for success.
func (c frozenCase) judge(t *testing.T, d testDatabase, js jetstream.JetStream, want []events.CauseCode) {
	t.Helper()
	request := frozenOrder
	if c.cause == events.CauseUndecodableEvent {
		request = "" // its outcome names none
	}
	all := outcomesByRequest(t, js)
	judgeOutcomes(t, request, all[request], want, !c.then.replay || c.soon)
	for _, other := range []string{"order-1", "order-2"} {
		judgeOutcomes(t, other, all[other], []events.CauseCode{""}, true)
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
	verified(t, d, len(tenants)+1)
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

// judgeOutcomes compares the outcomes of a request, in the order of the stream, with the cause that each replay must
// have. Where the stream does not drop duplicates, the last one may be there more than once.
func judgeOutcomes(t *testing.T, request string, got []publishedOutcome, want []events.CauseCode, dropsDuplicates bool) {
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

// impatient has PostgreSQL end the transactions of a frozen client soon.
func impatient(t *testing.T, d testDatabase) testDatabase {
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

// removeBoundary removes what plant has made.
func removeBoundary(t *testing.T, d testDatabase) {
	t.Helper()
	if d.sqlite() {
		testkit.Must(t, os.RemoveAll(filepath.Join(strings.TrimPrefix(d.env["DATABASE_URL"], "sqlite:"), "tenant_"+frozenTenant)))
		return
	}
	execute(t, "pgx", d.env["DATABASE_URL"], "", `DROP SCHEMA "tenant_`+frozenTenant+`" CASCADE`)
}
