package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/natstest"
	"example.com/tenant-provisioner/internal/testkit"
)

const maxPayload = 1 << 20 // the server's default

type poison struct {
	header nats.Header
	body   string
	cause  events.CauseCode // empty: it is provisioned
	tooBig bool             // the dead letter cannot hold it
}

// poisons are messages that kill or block some consumers.
func poisons() map[string]poison {
	structured := nats.Header{"content-type": {events.ContentType}}
	event := func(id, members string) string {
		return fmt.Sprintf(`{"specversion":"1.0","type":%q,"source":%q,"id":%q,%s}`, events.TypeRequested, billing, id, members)
	}
	data := func(members string) string { return `"data":{` + members + `}` }
	fields := func(tenant string) string {
		return fmt.Sprintf(`"tenant_id":%q,"display_name":"A","created_by":"t"`, tenant)
	}
	binary := func(more nats.Header) nats.Header {
		h := nats.Header{
			"ce-specversion": {"1.0"}, "ce-type": {events.TypeRequested}, "ce-source": {billing}, "ce-id": {"binary"},
		}
		maps.Copy(h, more)
		return h
	}
	padded := func(id string) string {
		empty := event(id, data(fields("fill")+`,"fill":""`))
		return strings.Replace(empty, `"fill":""`, `"fill":"`+strings.Repeat("x", maxPayload-len(empty))+`"`, 1)
	}
	long := strings.Repeat("x", 100_000)
	return map[string]poison{
		"max_payload, no event": {body: strings.Repeat("x", maxPayload), cause: events.CauseUndecodableEvent, tooBig: true},
		"max_payload, invalid": {
			body:  strings.Replace(padded("filled"), `"created_by"`, `"created_BY"`, 1),
			cause: events.CauseInvalidRequest, tooBig: true,
		},
		"max_payload, valid":      {body: padded("filled, valid")},
		"10,000 headers":          {header: nats.Header{"a": make([]string, 10_000)}, cause: events.CauseUndecodableEvent},
		"10,000 headers, valid":   {header: nats.Header{"a": make([]string, 10_000)}, body: event("headers", data(fields("headers")))},
		"headers of maximum size": {header: nats.Header{"a": {strings.Repeat("x", 65_500)}}, cause: events.CauseUndecodableEvent, tooBig: true},
		"invalid UTF-8 in the body": {
			header: structured, body: event("utf8", data(fields("utf8_\xff"))), cause: events.CauseUndecodableEvent,
		},
		"invalid UTF-8 in a header": {
			header: binary(nats.Header{"ce-id": {"\xff\xfe"}}), body: "{" + fields("header_utf8") + "}", cause: events.CauseUndecodableEvent,
		},
		"invalid UTF-8, percent-encoded": {
			header: binary(nats.Header{"ce-id": {"%ff"}}), body: "{" + fields("header_utf8") + "}", cause: events.CauseUndecodableEvent,
		},
		"100,000 levels": {
			header: structured, body: event("deep", `"data":`+strings.Repeat("[", 100_000)+strings.Repeat("]", 100_000)),
			cause: events.CauseUndecodableEvent,
		},
		"100,000 levels as binary data": {
			header: binary(nats.Header{"ce-id": {"deep binary"}}), body: strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000),
			cause: events.CauseInvalidRequest,
		},
		"an attribute twice": {
			header: structured, body: event("twice", `"id":"twice again",`+data(fields("twice"))), cause: events.CauseUndecodableEvent,
		},
		"a field twice": {
			header: structured, body: event("field twice", data(fields("once")+`,"tenant_id":"twice"`)), cause: events.CauseInvalidRequest,
		},
		"a number as tenant": {
			header: structured, body: event("number", data(`"tenant_id":1,"display_name":"A","created_by":"t"`)),
			cause: events.CauseInvalidRequest,
		},
		"an array as data": {header: structured, body: event("array", `"data":[]`), cause: events.CauseInvalidRequest},
		"no data":          {header: structured, body: event("no data", `"data":null`), cause: events.CauseInvalidRequest},
		"NUL in the tenant": {
			header: structured, body: event("nul", data(`"tenant_id":"a\u0000b","display_name":"A","created_by":"t"`)),
			cause: events.CauseInvalidTenantID,
		},
		"another system's event": {
			header: structured,
			body:   strings.Replace(event("foreign", data(fields("foreign"))), events.TypeRequested, "com.example.order.paid", 1),
			cause:  events.CauseUnsupportedEventType,
		},
		"an empty message": {cause: events.CauseUndecodableEvent},
		"a batch": {
			header: nats.Header{"content-type": {"application/cloudevents-batch+json"}},
			body:   "[" + event("batch", data(fields("batch"))) + "]", cause: events.CauseUndecodableEvent,
		},
		"an invalid replay number": {
			header: nats.Header{"Replay-Number": {"garbage"}}, body: event("replay", data(fields("replay"))),
		},
		"a replay number that is too high": {
			header: nats.Header{"Replay-Number": {strings.Repeat("9", 40)}}, body: event("replay high", data(fields("replay_high"))),
		},
		"a very long id": {header: structured, body: event(long, data(fields("long_id")))},
		"a very long id, invalid": {
			header: structured, body: event(long+"!", `"subject":"other",`+data(fields("long_id"))), cause: events.CauseInvalidRequest,
		},
		"a very long source": {
			header: structured,
			body: strings.Replace(event("long source", `"subject":"other",`+data(fields("long_source"))),
				`"`+billing+`"`, `"/`+long+`"`, 1),
			cause: events.CauseInvalidRequest,
		},
	}
}

// Each message is decided once, its original is kept, and the next request is provisioned.
func TestPoison(t *testing.T) {
	t.Parallel()
	d, url := newSQLite(t), natstest.Start(t)
	service := serve(t, settings(d.env, with("NATS_URL", url)))
	js := natstest.JetStream(t, url)
	all := poisons()
	sequences := map[string]uint64{}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		ack, err := js.PublishMsg(t.Context(), &nats.Msg{
			Subject: events.TypeRequested, Header: all[name].header, Data: []byte(all[name].body),
		})
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		sequences[name] = ack.Sequence
	}
	publish(t, js, requestFor(t, "after all of them", "acme"))
	awaitSettled(t, js)

	requests, err := js.Stream(t.Context(), events.StreamRequests)
	testkit.Must(t, err)
	letters := deadLettersBySequence(t, js)
	failures := failuresByDeadLetter(t, js)
	provisioned := 1
	for name, p := range all {
		letter := letters[sequences[name]]
		switch {
		case p.cause == "":
			provisioned++
			if letter != nil {
				t.Errorf("%s: a dead letter, %s", name, letter.Header.Get("Dead-Letter-Message"))
			}
			continue
		case letter == nil:
			t.Errorf("%s: no dead letter", name)
			continue
		}
		testkit.Equal(t, name+": reason", letter.Header.Get("Dead-Letter-Reason"), string(p.cause))
		outcomes := failures[letter.Subject]
		testkit.Equal(t, name+": failed events", len(outcomes), 1)
		for _, o := range outcomes {
			testkit.Equal(t, name+": cause", o.Cause.Code, p.cause)
		}
		testkit.Equal(t, name+": is omitted", letter.Header.Get("Dead-Letter-Omitted") != "", p.tooBig)
		original, err := requests.GetMsg(t.Context(), sequences[name])
		testkit.Must(t, err)
		for header := range letter.Header {
			// Headers that the service adds.
			if strings.HasPrefix(header, "Dead-Letter-") || header == jetstream.ExpectedLastSubjSeqHeader ||
				header == jetstream.MsgIDHeader && original.Header[header] == nil {
				delete(letter.Header, header)
			}
		}
		if !p.tooBig && (!bytes.Equal(letter.Data, original.Data) || !maps.EqualFunc(letter.Header, original.Header, slices.Equal)) {
			t.Errorf("%s: the dead letter is not the original", name)
		}
	}
	testkit.Equal(t, "dead letters", len(letters), len(all)+1-provisioned)
	if found := countOutcomes(t, storedOutcomes(t, js)); !strings.HasSuffix(found, fmt.Sprintf("provisioned %d", provisioned)) {
		t.Errorf("outcomes: %s, want %d provisioned", found, provisioned)
	}
	testkit.Equal(t, "exit code", service.stop(t), 0)
}

// deadLettersBySequence returns the dead letters by the sequence of their original.
func deadLettersBySequence(t *testing.T, js jetstream.JetStream) map[uint64]*jetstream.RawStreamMsg {
	t.Helper()
	stream, err := js.Stream(t.Context(), events.StreamDeadLetters)
	testkit.Must(t, err)
	letters := map[uint64]*jetstream.RawStreamMsg{}
	for sequence := range stream.CachedInfo().State.LastSeq {
		msg, err := stream.GetMsg(t.Context(), sequence+1)
		testkit.Must(t, err)
		of, err := strconv.ParseUint(msg.Header.Get("Dead-Letter-Sequence"), 10, 64)
		testkit.Must(t, err)
		letters[of] = msg
	}
	return letters
}

func failuresByDeadLetter(t *testing.T, js jetstream.JetStream) map[string][]events.ProvisioningFailed {
	t.Helper()
	failures := map[string][]events.ProvisioningFailed{}
	for _, e := range storedOutcomes(t, js) {
		if e.Type() != events.TypeProvisioningFailed {
			continue
		}
		data, err := events.FailedFrom(e)
		testkit.Must(t, err)
		failures[data.DeadLetter.Subject] = append(failures[data.DeadLetter.Subject], data)
	}
	return failures
}
