package main

import (
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"github.com/nats-io/nats.go"
	"google.golang.org/protobuf/proto"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// maxLog limits what one request may write to the log, in bytes.
const maxLog = 64 << 10

// largeRequests are requests of 900 KB, or with headers of maximum size, each with another long part.
func largeRequests() map[string]*nats.Msg {
	long := strings.Repeat("i", 900_000)
	half := long[:450_000]
	structured := func(id, members, data string) *nats.Msg {
		body := fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":%q,"id":%q,%s"data":{%s}}`,
			events.TypeRequested, billing, id, members, data)
		return &nats.Msg{Header: nats.Header{"content-type": {events.ContentType}}, Data: []byte(body)}
	}
	fields := func(tenant, display, by string) string {
		return fmt.Sprintf(`"tenant_id":%q,"display_name":%q,"created_by":%q`, tenant, display, by)
	}
	replaced := func(id, tenant, from, to string) *nats.Msg {
		msg := structured(id, "", fields(tenant, "A", "t"))
		msg.Data = []byte(strings.Replace(string(msg.Data), from, to, 1))
		return msg
	}
	binary := func(tenant string, more nats.Header) *nats.Msg {
		h := nats.Header{
			"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {billing}, "ce-id": {tenant},
		}
		maps.Copy(h, more)
		return &nats.Msg{Header: h, Data: []byte("{" + fields(tenant, "A", "t") + "}")}
	}
	header := long[:60_000] // JetStream accepts 64 KiB of headers
	return map[string]*nats.Msg{
		"id":                   structured(long, "", fields("id", "A", "t")),
		"id, invalid":          structured(long+"!", `"subject":"other",`, fields("id_invalid", "A", "t")),
		"id of escapes":        structured(strings.Repeat(`\`, 400_000), "", fields("id_escapes", "A", "t")),
		"id of umlauts":        structured(strings.Repeat("ü", 400_000), "", fields("id_umlauts", "A", "t")),
		"source":               replaced("source", "source", `"`+billing+`"`, `"/`+long+`"`),
		"source and id":        replaced(half, "both", `"`+billing+`"`, `"/`+half+`"`),
		"tenant_id":            structured("tenant_id", "", fields(long, "A", "t")),
		"tenant_id of quotes":  structured("tenant_id quotes", "", fields(strings.Repeat(`"`, 400_000), "A", "t")),
		"display_name":         structured("display_name", "", fields("display_name", long, "t")),
		"created_by":           structured("created_by", "", fields("created_by", "A", long)),
		"type":                 replaced("type", "type", `"`+events.TypeRequested+`"`, `"`+long+`"`),
		"subject":              structured("subject", fmt.Sprintf(`"subject":%q,`, long), fields("subject", "A", "t")),
		"specversion":          replaced("specversion", "specversion", `"1.0"`, `"`+long+`"`),
		"time":                 structured("time", fmt.Sprintf(`"time":%q,`, long), fields("time", "A", "t")),
		"dataschema":           structured("dataschema", fmt.Sprintf(`"dataschema":%q,`, "http://h/"+long), fields("dataschema", "A", "t")),
		"datacontenttype":      structured("datacontenttype", fmt.Sprintf(`"datacontenttype":%q,`, long), fields("datacontenttype", "A", "t")),
		"correlationid":        structured("correlationid", fmt.Sprintf(`"correlationid":%q,`, long), fields("correlationid", "A", "t")),
		"traceparent":          structured("traceparent", fmt.Sprintf(`"traceparent":%q,`, long), fields("traceparent", "A", "t")),
		"tracestate":           structured("tracestate", fmt.Sprintf(`"tracestate":%q,`, "a="+long), fields("tracestate", "A", "t")),
		"extension's name":     structured("extension", fmt.Sprintf(`%q:"x",`, long), fields("extension", "A", "t")),
		"extension's value":    structured("extension value", fmt.Sprintf(`"x":%q,`, long), fields("extension_value", "A", "t")),
		"unknown field":        structured("field", "", fields("field", "A", "t")+fmt.Sprintf(`,%q:1`, long)),
		"field twice":          structured("field twice", "", fmt.Sprintf(`%q:1,%q:1,`, half[:440_000], half[:440_000])+fields("twice", "A", "t")),
		"attribute twice":      structured("attribute twice", fmt.Sprintf(`%q:1,%q:1,`, half[:440_000], half[:440_000]), fields("twice", "A", "t")),
		"number as tenant_id":  structured("number", "", `"tenant_id":`+strings.Repeat("1", 900_000)+`,"display_name":"A","created_by":"t"`),
		"garbage":              {Data: []byte(long)},
		"garbage of bytes":     {Data: []byte(strings.Repeat("\xff\x00", 450_000))},
		"brackets":             {Data: []byte(strings.Repeat("[", 900_000))},
		"header ce-id":         binary("header_id", nats.Header{"ce-id": {header}}),
		"header ce-source":     binary("header_source", nats.Header{"ce-source": {"/" + header}}),
		"header ce-type":       binary("header_type", nats.Header{"ce-type": {header}}),
		"header ce-subject":    binary("header_subject", nats.Header{"ce-subject": {header}}),
		"header ce-x":          binary("header_x", nats.Header{"ce-x": {header}}),
		"header, percent":      binary("header_percent", nats.Header{"ce-id": {"%" + header}}),
		"header's name":        binary("header_name", nats.Header{"ce-" + header: {"x"}}),
		"header content-type":  binary("header_content", nats.Header{"content-type": {header}}),
		"header repeated":      binary("header_repeated", nats.Header{"ce-id": {header[:30_000], header[:30_000]}}),
		"header Replay-Number": binary("header_replay", nats.Header{"Replay-Number": {strings.Repeat("9", 60_000)}}),
	}
}

// Publishers are untrusted: the log of a request does not grow with its size.
func TestLogOfALargeRequest(t *testing.T) {
	t.Parallel()
	for _, format := range []string{"json", "text"} {
		t.Run(format, func(t *testing.T) {
			t.Parallel()
			d, url := newSQLite(t), natstest.Start(t)
			service := serve(t, settings(d.env, with("NATS_URL", url), with("LOG_FORMAT", format), with("LOG_LEVEL", "debug")))
			js := natstest.JetStream(t, url)
			for name, msg := range largeRequests() {
				before := len(service.stderr.String())
				msg.Subject = events.TypeRequested
				if _, err := js.PublishMsg(t.Context(), msg); err != nil {
					t.Fatalf("%s: %v", name, err)
				}
				awaitSettled(t, js)
				if n := len(service.stderr.String()) - before; n > maxLog {
					t.Errorf("%s: %d bytes of log", name, n)
				}
			}
		})
	}
}

// refuseRegistrations makes PostgreSQL refuse each registration of a tenant, but not that of a rehearsal, with an error of
// 900 KB.
func refuseRegistrations(t *testing.T, d testDatabase) {
	t.Helper()
	execute(t, "pgx", d.env["DATABASE_URL"], "docex_system.",
		"CREATE FUNCTION {b}refuse() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE EXCEPTION '%', repeat('x', 900000); END$$",
		"CREATE TRIGGER refuses BEFORE INSERT ON {b}tenant_registry FOR EACH ROW WHEN (NEW.tenant_id::text NOT LIKE 'rehearsal|_%' ESCAPE '|') "+
			"EXECUTE FUNCTION {b}refuse()")
}

// A database's error texts may be long too, and are logged with each attempt.
func TestLogOfALongError(t *testing.T) {
	t.Parallel()
	d, url := newPostgres(t), natstest.Start(t)
	service := serve(t, settings(d.env, with("NATS_URL", url), with("PREPARED_BOUNDARIES", "0")))
	js := natstest.JetStream(t, url)
	refuseRegistrations(t, d)
	before := len(service.stderr.String())
	publish(t, js, requestFor(t, "long error", "acme"))
	awaitSettled(t, js)
	testkit.Logs(t, &service.stderr, "… (9000")
	if n := len(service.stderr.String()) - before; n > maxLog {
		t.Errorf("%d bytes of log", n)
	}
	testkit.Equal(t, "outcomes", countOutcomes(t, storedOutcomes(t, js)), "ATTEMPTS_EXHAUSTED 1")
}

// Spans are limited too: those of deliveries, steps and statements.
func TestSpansOfALargeRequest(t *testing.T) {
	onBothEngines(t, func(t *testing.T, d testDatabase) {
		seen, url := collectSpans(t)
		p := launch(t, settings(d.env, with("NATS_EMBEDDED_DIR", t.TempDir()), with("PREPARED_BOUNDARIES", "0"),
			with("OTEL_EXPORTER_OTLP_ENDPOINT", url)))
		js := natstest.JetStream(t, testkit.Logged(t, &p.stderr, "embedded NATS server is up", "url"))
		testkit.Logged(t, &p.stderr, "taking requests", "workers")
		if !d.sqlite() {
			refuseRegistrations(t, d)
		}
		parent := "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		state := "a=" + strings.Repeat("v", 200)
		for i := range 30 {
			state += fmt.Sprintf(",k%d=%s", i, strings.Repeat("v", 200))
		}
		for name, msg := range largeRequests() {
			if strings.HasPrefix(name, "header") {
				continue
			}
			msg.Subject = events.TypeRequested
			msg.Data = []byte(strings.Replace(string(msg.Data), `"data":`,
				fmt.Sprintf(`"traceparent":%q,"tracestate":%q,"data":`, parent, state), 1))
			_, err := js.PublishMsg(t.Context(), msg)
			testkit.Must(t, err)
			awaitSettled(t, js)
		}
		p.signal(t, syscall.SIGTERM)
		testkit.Equal(t, "exit code", p.wait(t), 0)
		if len(seen.all) < 50 {
			t.Fatalf("%d spans", len(seen.all))
		}
		for _, span := range seen.all {
			if n := proto.Size(span); n > 8<<10 {
				t.Errorf("span %.100s has %d bytes: %.3000s", span.GetName(), n, span)
			}
		}
	})
}
