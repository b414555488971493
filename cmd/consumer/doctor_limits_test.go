package main

import (
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/doctor"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// namesOfFaults lists the names of the checks that are faults.
func namesOfFaults(checks map[string]doctor.Finding) string {
	faults := maps.Clone(checks)
	maps.DeleteFunc(faults, func(_ string, c doctor.Finding) bool { return c.Status != doctor.Fault })
	return strings.ReplaceAll(findings(faults), " "+doctor.Fault, "")
}

// outcomeOfStart starts the service and waits until it is ready, or until it exits with code 1 or is not ready and says
// why, with every part.
func outcomeOfStart(t *testing.T, env map[string]string, ready bool, parts ...string) {
	t.Helper()
	r := start(t, merge(env, with("HTTP_ADDR", "127.0.0.1:0")), "run")
	url := r.http(t) + "/readyz"
	var code int
	var body string
	has := func(text string) bool {
		return !slices.ContainsFunc(parts, func(part string) bool { return !strings.Contains(text, part) })
	}
	defer func() {
		if t.Failed() {
			t.Logf("/readyz: %d %s\n%s", code, body, testkit.Tail(r.stderr.String()))
		}
	}()
	testkit.Eventually(t, fmt.Sprintf("the start (ready: %v, %q)", ready, parts), func() bool {
		select {
		case <-r.done:
			return !ready && r.code == 1 && has(r.stderr.String())
		default:
		}
		var err error
		if code, body, err = fetch(t, url); err != nil {
			return false
		}
		if ready {
			return code == http.StatusOK
		}
		return code == http.StatusServiceUnavailable && has(body)
	})
	if !ready {
		testkit.Lacks(t, "log", r.stderr.String(), "taking requests")
	}
}

// Doctor finds a fault exactly if the service does not start, or is not ready; both name the same limit, stream or
// setting.
func TestDoctorAgreesWithTheStart(t *testing.T) {
	t.Parallel()
	const (
		all           = "dead_letters_stream, events_stream, requests_stream"
		allAndAccount = "dead_letters_stream, events_stream, jetstream, requests_stream"
		consumer      = "durable_consumer"
	)
	account := func(limits string) string { return "jetstream {}\n" + accountOf(limits, "", "") }
	server := func(limits string) string { return "jetstream { limits { " + limits + " } }\n" + accountOf("", "", "") }
	plain := account("")
	add := func(config jetstream.StreamConfig) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			_, err := js.CreateStream(t.Context(), config)
			testkit.Must(t, err)
		}
	}
	// requests is the stream of requests, to which another program has given a consumer.
	requests := func(change func(*jetstream.StreamConfig)) func(*testing.T, jetstream.JetStream) {
		return func(t *testing.T, js jetstream.JetStream) {
			config := jetstream.StreamConfig{
				Name: events.StreamRequests, Subjects: []string{events.TypeRequested}, MaxAge: 90 * 24 * time.Hour,
				Discard: jetstream.DiscardNew, MaxMsgsPerSubject: -1,
			}
			change(&config)
			add(config)(t, js)
			_, err := js.CreateConsumer(t.Context(), config.Name, jetstream.ConsumerConfig{Durable: "audit", AckPolicy: jetstream.AckExplicitPolicy})
			testkit.Must(t, err)
		}
	}
	unchanged := func(*jetstream.StreamConfig) {}
	for name, c := range map[string]struct {
		config  string
		env     map[string]string
		prepare func(*testing.T, jetstream.JetStream)
		faults  string   // of doctor; empty: the service is ready
		parts   []string // of the messages and hints of these faults
		start   []string // of the error of the service; nil: as parts
	}{
		"no limits":             {config: plain},
		"a stream of another":   {config: plain, prepare: add(jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"tenant.other"}})},
		"all subjects taken":    {plain, nil, add(jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"tenant.>"}}), all, []string{"overlap", "AUDIT", "nats stream edit AUDIT"}, nil},
		"a dead letter's taken": {plain, nil, add(jetstream.StreamConfig{Name: "AUDIT", Subjects: []string{"tenant.dead_letter.x"}}), "dead_letters_stream", []string{"AUDIT"}, nil},
		"account's max_bytes_required": {
			account("max_bytes_required: true"), nil, nil, all,
			[]string{"max bytes", "nats stream add TENANT_EVENTS --subjects='tenant.provisioned' --subjects='tenant.provisioning_failed'", "--max-bytes=1GB"},
			nil,
		},
		"account's max_streams": {
			account("max_streams: 2"), nil, nil, "jetstream", []string{"max_streams", "0 of at most 2 streams"}, []string{"number of streams", "max_streams"},
		},
		"account's max_streams, all used": {
			account("max_streams: 1"), nil, add(jetstream.StreamConfig{Name: "OTHER"}), allAndAccount, []string{"max_streams"}, nil,
		},
		"account's max_streams, enough": {config: account("max_streams: 3")},
		"account's max_file":            {account("max_mem: 1G, max_file: 0"), nil, nil, "jetstream", []string{"max_file"}, nil},
		"account's max_file, reserved": {
			account("max_file: 1M"), nil, add(jetstream.StreamConfig{Name: "OTHER", MaxBytes: 1_000_000}), "jetstream", []string{"max_file"}, nil,
		},
		"account's max_ack_pending":        {config: account("max_ack_pending: 1000")},
		"account's max_consumers":          {account("max_consumers: 1"), nil, requests(unchanged), consumer, []string{"max_consumers", "consumers"}, nil},
		"account's max_consumers, enough":  {config: account("max_consumers: 2"), prepare: requests(unchanged)},
		"account's max_consumers, unused":  {config: account("max_consumers: 1")},
		"account without JetStream":        {strings.Replace(plain, "jetstream: {}, ", "", 1), nil, nil, "jetstream", []string{"not enabled for"}, nil},
		"stream's max_consumers":           {plain, nil, requests(func(s *jetstream.StreamConfig) { s.MaxConsumers = 1 }), consumer, []string{"max_consumers", "consumers"}, nil},
		"stream's max_consumers, enough":   {config: plain, prepare: requests(func(s *jetstream.StreamConfig) { s.MaxConsumers = 2 })},
		"stream's consumer_limits":         {plain, nil, requests(func(s *jetstream.StreamConfig) { s.ConsumerLimits.MaxAckPending = 1000 }), "requests_stream", []string{"consumer_limits"}, nil},
		"server's duplicate_window":        {server(`duplicate_window: "2m"`), nil, nil, "dead_letters_stream, events_stream", []string{"duplicate", "2m0s", "duplicate_window"}, nil},
		"server's duplicate_window, an h":  {config: server(`duplicate_window: "1h"`)},
		"server's max_ack_pending":         {config: server("max_ack_pending: 100")},
		"server's batches and HA assets":   {config: server("max_request_batch: 1, max_ha_assets: 1")},
		"replicas without a cluster":       {plain, with("NATS_REPLICAS", "3"), nil, all, []string{"NATS_REPLICAS"}, nil},
		"streams are not managed":          {plain, with("NATS_MANAGE_STREAMS", "false"), nil, "dead_letters_stream, durable_consumer, events_stream, requests_stream", []string{"missing"}, nil},
		"the service may not create these": {"jetstream {}\n" + accountOf("", "$JS.API.STREAM.CREATE.>", ""), nil, nil, "nats_permissions", []string{"$JS.API.STREAM.CREATE.TENANT_"}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			urlOf := startConfigured(t, c.config)
			if c.prepare != nil {
				c.prepare(t, natstest.JetStream(t, urlOf("admin")))
			}
			env := settings(newSQLite(t).env, with("NATS_URL", urlOf("me")), c.env)
			checks := runDoctor(t, env)
			testkit.Equal(t, "faults", namesOfFaults(checks), c.faults)
			var texts []string
			for fault := range strings.SplitSeq(c.faults, ", ") {
				texts = append(texts, checks[fault].Message, checks[fault].Hint)
			}
			testkit.Contains(t, "the faults", strings.Join(texts, "\n"), c.parts...)
			if c.start == nil {
				c.start = c.parts
			}
			outcomeOfStart(t, env, c.faults == "", c.start...)
		})
	}
}

// A subject that the user may not use is named, and every question that needs another one is answered as ever. The
// subjects are those that doctor is seen to use, with streams and without.
func TestDoctorAsksEachQuestionByItself(t *testing.T) {
	t.Parallel()
	const user = `{user: %s, password: ` + secret + `, permissions: {publish: {deny: [%s]}}},`
	config := func(users string) string {
		return "accounts { A { jetstream: enabled, users: [{user: admin, password: " + secret + "}," + users + "] } }"
	}
	for name, exist := range map[string]bool{"streams exist": true, "streams are missing": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := natstest.StartConfigured(t, config(""))
			as := func(user string) string { return userOf(user, s.URL) }
			d := newSQLite(t)
			if exist {
				served(t, settings(d.env, with("NATS_URL", as("admin"))), natstest.JetStream(t, as("admin")), "acme")
				publish(t, natstest.JetStream(t, as("admin")), requestFor(t, "r-gamma", "gamma")) // TENANT_REQUESTS is read
				(&damage{t: t, d: d}).insertRunning("gamma")
			}
			examine := func(user string) map[string]doctor.Finding {
				checks := runDoctor(t, d.env, with("NATS_URL", as(user)), with("ACK_WAIT", "1s"))
				delete(checks, "nats") // it has the user's name
				for name, c := range checks {
					c.Message = regexp.MustCompile(`\d[\d.]*[µmsh]*`).ReplaceAllString(c.Message, "N") // times, and space on the disk
					checks[name] = c
				}
				return checks
			}
			subjects, usual := observe(t, as("admin"), func() map[string]doctor.Finding { return examine("admin") })
			if len(subjects) < 9 {
				t.Fatalf("doctor uses only %v", subjects)
			}
			var users strings.Builder
			for i, subject := range subjects {
				fmt.Fprintf(&users, user, fmt.Sprint("without_", i), fmt.Sprintf("%q", subject))
			}
			s.Reload(config(users.String()))
			for i, subject := range subjects {
				checks := examine(fmt.Sprint("without_", i))
				var affected, named []string
				for name, before := range usual {
					now, asked := checks[name]
					switch {
					case !asked:
						if needs[name] == "" || !strings.HasSuffix(subject, needs[name]) {
							t.Errorf("without %s: %s is not checked", subject, name)
						}
					case now != before:
						affected = append(affected, name)
						// What only doctor needs is a warning.
						if now.Status == doctor.OK || now.Status == doctor.Fault && checks["nats_permissions"].Status != doctor.Fault {
							t.Errorf("without %s: %s is %+v, was %+v", subject, name, now, before)
						}
						if strings.Contains(now.Message+now.Hint, subject) {
							named = append(named, name)
						}
					}
				}
				// The first is not for every user: nats_sync. Without the second the login has no name in the finding nats.
				optional := subject == "$SYS.REQ.SERVER.PING.VARZ" || subject == "$SYS.REQ.USER.INFO"
				if len(named) == 0 && !optional {
					t.Errorf("without %s: no finding names it; changed: %v", subject, affected)
				}
			}
		})
	}
}

// needs has, for each check that judges the answer to another check's question, the end of the subject of that question.
var needs = map[string]string{
	"requests_room": "STREAM.INFO.TENANT_REQUESTS", "events_retention": "STREAM.INFO.TENANT_EVENTS",
	"dead_letters_retention": "STREAM.INFO.TENANT_DEAD_LETTERS",
	"consumer_limits":        consumerInfo, "consumer_paused": consumerInfo, "consumer_clock": consumerInfo,
	"consumer_sequence": consumerInfo, "consumer_service": consumerInfo, "consumer_redelivered": consumerInfo,
	"requests_age": consumerInfo,
}

const consumerInfo = "CONSUMER.INFO.TENANT_REQUESTS.tenant-provisioner"

// observe returns the subjects of the server's API that are used while run runs, sorted.
func observe[T any](t *testing.T, url string, run func() T) (subjects []string, _ T) {
	t.Helper()
	nc, err := nats.Connect(url, nats.Timeout(testkit.Patience))
	testkit.Must(t, err)
	defer nc.Close()
	var seen []*nats.Subscription
	for _, subject := range []string{"$JS.API.>", "$SYS.REQ.>"} {
		sub, err := nc.SubscribeSync(subject)
		testkit.Must(t, err)
		seen = append(seen, sub)
	}
	testkit.Must(t, nc.Flush())
	result := run()
	testkit.Must(t, nc.Flush())
	for _, sub := range seen {
		for n, _, _ := sub.Pending(); n > 0; n-- {
			msg, err := sub.NextMsg(testkit.Patience)
			testkit.Must(t, err)
			subjects = append(subjects, msg.Subject)
		}
	}
	slices.Sort(subjects)
	return slices.Compact(subjects), result
}
