package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/testkit"
)

// object is a JSON object.
type object = map[string]any

// forgery is an event that another publisher stores in TENANT_EVENTS. Everything in it is as this service writes it,
// except for what a case changes.
type forgery struct {
	event, data object
	header      nats.Header
	twice       bool
}

// forge returns an announcement of tenant ghost for a request that was never made.
func (m *damage) forge(request string) *forgery {
	now := time.Now().UTC().Format(time.RFC3339Nano)
	f := &forgery{
		event: object{
			"specversion": "1.0", "source": events.DefaultSource, "type": events.TypeProvisioned, "time": now,
			"datacontenttype": "application/json",
		},
		data: object{
			"display_name": "G", "created_at": now, "created_by": "forger", "attempts": 1, "replay": 0,
			"warnings": []any{}, "steps": []any{},
		},
		header: nats.Header{"content-type": {events.ContentType}},
	}
	m.strategy(f, m.d.sqlite(), "ghost")
	f.data["tenant_id"] = "ghost"
	f.of(request)
	return f
}

// strategy sets the strategy of an engine, and the boundary of that tenant.
func (m *damage) strategy(f *forgery, sqlite bool, tenant string) {
	delete(f.data, "schema_name")
	delete(f.data, "database_path")
	if sqlite {
		f.data["isolation_strategy"], f.data["database_path"] = events.IsolationDatabase, m.file(tenant)
		return
	}
	f.data["isolation_strategy"], f.data["schema_name"] = events.IsolationSchema, "tenant_"+tenant
}

// boundary sets the name of the boundary.
func (m *damage) boundary(f *forgery, schema, path string) {
	if m.d.sqlite() {
		f.data["database_path"] = path
		return
	}
	f.data["schema_name"] = schema
}

// of makes it an outcome of that request, with the id and key that this service gives.
func (f *forgery) of(id string) {
	f.data["request"] = object{"source": billing, "id": id, "key": events.RequestKey(billing, id)}
	replay, _ := f.data["replay"].(int)
	f.event["id"] = events.OutcomeID(billing, id, replay, fmt.Sprint(f.event["type"]))
}

// replay makes it an outcome of that replay.
func (f *forgery) replay(n int, id string) {
	f.data["replay"] = n
	f.of(id)
}

// failed makes it a failure of that request.
func (f *forgery) failed(id string) {
	f.event["type"] = events.TypeProvisioningFailed
	f.data = object{
		"tenant_id": "ghost", "step": object{"number": 0, "name": "validate_request"}, "attempts": 1, "replay": f.data["replay"],
		"cause": object{"code": "INVALID_REQUEST", "message": "no"}, "replayable": false, "left_behind": []any{},
		"dead_letter": object{"stream": events.StreamDeadLetters, "subject": "tenant.dead_letter.x"},
	}
	f.of(id)
}

// message returns the event as it is stored.
func (f *forgery) message(t *testing.T) *nats.Msg {
	t.Helper()
	all := maps.Clone(f.event)
	all["data"] = f.data
	body, err := json.Marshal(all)
	testkit.Must(t, err)
	return &nats.Msg{Subject: fmt.Sprint(f.event["type"]), Header: f.header, Data: body}
}

// Events that this service did not make. The guard passes over what is no outcome. Otherwise it names the event and
// what to do, a dry run has the reason, --apply changes nothing, and after --accept the guard is content.
func TestForgedOutcomes(t *testing.T) {
	const (
		passed   = "passed over" // by the guard
		restored = "restored"    // nothing tells it from a genuine one
		mismatch = "is not that of this outcome of its request"
	)
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		m := newDamage(t, d)
		m.serve(requestFor(t, "order-1", "acme"), invalidRequest("order-2"), requestFor(t, "order-3", "beta"))
		d.createBoundary("stranger", "CREATE TABLE {b}mine (n INTEGER)")
		outside := t.TempDir()
		victim := filepath.Join(outside, "tenant_ghost", "docex.db")
		testkit.Must(t, os.MkdirAll(filepath.Dir(victim), 0o755))
		testkit.Must(t, os.WriteFile(victim, []byte("not yours"), 0o600))
		var up string // the way from the tenant's directory to it
		if d.sqlite() {
			way, err := filepath.Rel(filepath.Dir(m.file("ghost")), victim)
			testkit.Must(t, err)
			up = way
		}
		genuine := events.OutcomeID(billing, "order-1", 0, events.TypeProvisioned)
		long := strings.Repeat("x", 100_000)
		whole := m.database()

		for n, c := range []struct {
			name   string
			change func(f *forgery)
			want   string // in the dry run
		}{
			{"nothing", func(*forgery) {}, "its boundary is missing"},
			{"stored twice", func(f *forgery) { f.twice = true }, "its boundary is missing"},
			{"id not a UUID", func(f *forgery) { f.event["id"] = "order '; DROP" }, "is not a UUID"},
			{"id of upper case", func(f *forgery) { f.event["id"] = strings.ToUpper(genuine) }, "is not a UUID"},
			{"long id", func(f *forgery) { f.event["id"] = long }, "is not a UUID"},
			{"no id", func(f *forgery) { f.event["id"] = "" }, passed},
			{"control character in the id", func(f *forgery) { f.event["id"] = "a\x00b" }, passed},
			{"id of another outcome", func(f *forgery) { f.event["id"] = genuine }, mismatch},
			{"tenant id invalid", func(f *forgery) { f.data["tenant_id"] = "../../x" }, "is not 1 to 255"},
			{"tenant id with control characters", func(f *forgery) { f.data["tenant_id"] = "a\x00\x1b[2J" }, "is not 1 to 255"},
			{"tenant id reserved", func(f *forgery) { f.data["tenant_id"] = system }, "is reserved"},
			{"no tenant id", func(f *forgery) { delete(f.data, "tenant_id") }, passed},
			{"tenant of another request", func(f *forgery) {
				f.data["tenant_id"] = "acme"
				m.strategy(f, d.sqlite(), "acme")
			}, `"acme" was registered by`},
			{"tenant in another case", func(f *forgery) {
				f.data["tenant_id"] = "ACME"
				m.strategy(f, d.sqlite(), "ACME")
			}, `"acme" was registered by`},
			{"long display name", func(f *forgery) { f.data["display_name"] = long }, "display_name: has 100000 characters"},
			{"NUL in the creator", func(f *forgery) { f.data["created_by"] = "a\x00b" }, "created_by: holds the control character"},
			{"long plan", func(f *forgery) { f.data["plan"] = long }, "its plan is"},
			{"NUL in the plan", func(f *forgery) { f.data["plan"] = "a\x00b" }, "its plan is"},
			{"plan of another type", func(f *forgery) { f.data["plan"] = 1 }, passed},
			{"negative limit", func(f *forgery) { f.data["plan"], f.data["plan_limits"] = "free", object{"max_rows": -1} }, "max_rows -1"},
			{"huge limit", func(f *forgery) {
				f.data["plan"], f.data["plan_limits"] = "free", object{"max_bytes": int64(1) << 60}
			}, "max_bytes 1152921504606846976"},
			{"limits without a plan", func(f *forgery) { f.data["plan_limits"] = object{"max_rows": 1} }, `it has plan "" with`},
			{"boundary off the template", func(f *forgery) {
				m.boundary(f, "pg_catalog", filepath.Join(filepath.Dir(m.file("ghost")), "other.db"))
			}, "what the template of names gives"},
			{"boundary of another tenant", func(f *forgery) { m.boundary(f, "tenant_acme", m.file("acme")) }, "what the template of names gives"},
			{"path traversal", func(f *forgery) {
				m.boundary(f, "../tenant_ghost", filepath.Dir(m.file("ghost"))+"/"+up)
			}, "what the template of names gives"},
			{"outside the storage directory", func(f *forgery) { m.boundary(f, `"; DROP SCHEMA docex_system`, victim) }, "what the template of names gives"},
			{"NUL in the boundary", func(f *forgery) { m.boundary(f, "tenant\x00ghost", "/\x00/tenant_ghost/docex.db") }, "what the template of names gives"},
			{"no boundary", func(f *forgery) { m.boundary(f, "", "") }, "what the template of names gives"},
			{"schema and file", func(f *forgery) { f.data["schema_name"], f.data["database_path"] = "tenant_ghost", m.file("ghost") }, "what the template of names gives"},
			{"strategy of the other engine", func(f *forgery) { m.strategy(f, !d.sqlite(), "ghost") }, "it was provisioned with the strategy"},
			{"unregistered boundary", func(f *forgery) {
				f.data["tenant_id"] = "stranger"
				m.strategy(f, d.sqlite(), "stranger")
			}, "ledger and registry do not have it"}, // --apply finds that it differs from the definition
			{"other source", func(f *forgery) { f.event["source"] = "/forger" }, "its boundary is missing"}, // EVENT_SOURCE may have changed
			{"no request", func(f *forgery) { delete(f.data, "request") }, passed},
			{"request without id", func(f *forgery) { f.of("") }, passed},
			{"key of another request", func(f *forgery) {
				f.data["request"].(object)["key"] = events.RequestKey(billing, "order-1") //nolint:forcetypeassert // see of
			}, "is not that of its request"},
			{"NUL in the key", func(f *forgery) {
				f.data["request"].(object)["key"] = "a\x00b" //nolint:forcetypeassert // see of
			}, "is not that of its request"},
			{"cut id, id of another outcome", func(f *forgery) {
				f.data["request"] = object{"source": billing, "id": "x…", "key": events.RequestKey(billing, "y")}
				f.event["id"] = genuine
			}, "its boundary is missing"},
			{"cut id, key in another form", func(f *forgery) {
				f.data["request"] = object{"source": billing, "id": "x…", "key": "a\x00b"}
			}, passed},
			{"cut id, key of another request", func(f *forgery) {
				f.data["request"] = object{"source": billing, "id": "x…", "key": events.RequestKey(billing, "order-1")}
			}, "the ledger has its request as provisioned"},
			{"negative replay", func(f *forgery) { f.replay(-1, "negative") }, "it has replay -1"},
			{"negative replay of another's request", func(f *forgery) { f.replay(-1, "order-1") }, passed},
			{"huge replay", func(f *forgery) { f.replay(1<<40, "order-1") }, "it has replay 1099511627776"},
			{"replay beyond all numbers", func(f *forgery) { f.data["replay"] = 1e300 }, passed},
			{"later replay of a request that is served", func(f *forgery) { f.replay(7, "order-1") }, "the ledger has its request as provisioned"},
			{"huge attempts", func(f *forgery) { f.data["attempts"] = 1 << 40 }, "attempts 1099511627776"},
			{"time in the future", func(f *forgery) { f.event["time"] = "9999-12-31T23:59:59Z" }, "its boundary is missing"},
			{"time 0001", func(f *forgery) { f.event["time"] = "0001-01-01T00:00:00Z" }, "its time is 0001-01-01"},
			{"no time", func(f *forgery) { delete(f.event, "time") }, "its time is 0001-01-01"},
			{"time 0000", func(f *forgery) { f.data["created_at"] = "0000-01-01T00:00:00Z" }, "its created_at is 0000-01-01"},
			{"success of a request that failed", func(f *forgery) { f.of("order-2") }, "its boundary is missing"},
			{"failure of a request that succeeded", func(f *forgery) { f.failed("order-1") }, passed},
			{"later failure of a request that succeeded", func(f *forgery) {
				f.data["replay"] = 3
				f.failed("order-1")
			}, "the ledger has its request as provisioned"},
			{"failure with a long step", func(f *forgery) {
				f.failed("step")
				f.data["step"] = object{"name": long}
			}, "its step.name is"},
			{"failure with NUL in the cause", func(f *forgery) {
				f.failed("cause")
				f.data["cause"] = object{"code": "a\x00"}
			}, "its cause.code is"},
			{"no subject of an outcome", func(f *forgery) { f.event["type"] = "tenant.other" }, passed},
			{"a failure that could be genuine", func(f *forgery) { f.failed("failure") }, restored},
		} {
			f := m.forge(fmt.Sprint("forged-", n))
			c.change(f)
			msg := f.message(t)
			if msg.Subject == "tenant.other" {
				msg.Subject = events.TypeProvisioned
			}
			publish(t, m.js, msg)
			if f.twice {
				publish(t, m.js, msg)
			}
			stream, err := m.js.Stream(t.Context(), events.StreamEvents)
			testkit.Must(t, err)
			sequence := stream.CachedInfo().State.LastSeq
			guard := runDoctor(t, m.env)["outcomes_ledger"]
			if c.want == passed {
				testkit.Equal(t, c.name+": guard: "+guard.Message, guard.Status, doctor.OK)
				continue
			}
			testkit.Equal(t, c.name+": guard", guard.Status, doctor.Fault)
			testkit.Contains(t, c.name+": guard", guard.Message+guard.Hint, fmt.Sprintf("message %d of stream", sequence),
				fmt.Sprintf("from %q", f.event["source"]), "If this service did not publish it")
			accept := regexp.MustCompile(`consumer reconcile (--tenant \S+ )?--accept`).FindString(guard.Message + guard.Hint)
			dry := m.reconcile(1, nil, fmt.Sprintf("of stream TENANT_EVENTS, from %s", f.event["source"]))
			if c.want == restored {
				testkit.Contains(t, c.name, dry, "would be restored")
				m.reconcile(0, strings.Fields(accept)[2:], "restored from its outcome")
			} else {
				testkit.Contains(t, c.name, dry, c.want)
				m.reconcile(1, apply, "left 1")
				testkit.Equal(t, c.name+": database after --apply", m.database(), whole)
				m.reconcile(0, strings.Fields(accept)[2:], "recorded as accepted")
				testkit.Equal(t, c.name+": database after --accept", m.database(), whole)
			}
			guard = runDoctor(t, m.env)["outcomes_ledger"]
			testkit.Equal(t, c.name+": guard after --accept: "+guard.Message, guard.Status, doctor.OK)
			if t.Failed() {
				t.Fatal(c.name)
			}
		}
		m.reconcile(0, nil, "nothing to do")
		// What was accepted hides nothing: not the outcome whose id another publisher has used.
		m.execute("DELETE FROM {b}tenant_requests WHERE request_id = 'order-1'")
		m.reconcile(1, nil, "acme: it was announced and is registered", "found 1")
		m.reconcile(0, apply, "restored from its outcome")
		m.serve(requestFor(t, "order-9", "ghost"))
		testkit.Equal(t, "tenants", strings.Join(d.tenants(), " "), "acme beta ghost")
		content, err := os.ReadFile(victim)
		testkit.Must(t, err)
		testkit.Equal(t, "a file outside the storage directory", string(content), "not yours")
		around, err := os.ReadDir(filepath.Dir(victim))
		testkit.Must(t, err)
		testkit.Equal(t, "files beside it", len(around), 1)
		verifyTenants(t, d, 4)
	})
}
