package events_test

import (
	"bytes"
	"compress/gzip"
	"compress/zlib"
	"encoding/base64"
	"errors"
	"io"
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

const requestData = `{"tenant_id": "acme", "display_name": "Zürich", "created_by": "me"}`

// with returns the header of a message: name, value, name, value, …
func with(list ...string) header {
	h := header{}
	for i := 0; i < len(list); i += 2 {
		h[list[i]] = append(h[list[i]], list[i+1])
	}
	return h
}

// Requests as other programs write them. Each row is typed from the documents or the writer of the named project.
func TestPublishers(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header     header
		body       string
		source, id string
	}{
		// spec, bindings/nats-protocol-binding.md of version 1.0.2: always structured, no header.
		"NATS binding 1.0.2": {nil, `{
    "specversion" : "1.0",
    "type" : "tenant.requested",
    "source" : "/mycontext/4",
    "id" : "B234-1234-1234",
    "time" : "2018-04-05T17:31:00Z",
    "comexampleextension1" : "value",
    "comexampleothervalue" : 5,
    "unsetextension": null,
    "datacontenttype" : "application/json",
    "data" : ` + requestData + "\n}", "/mycontext/4", "B234-1234-1234"},
		// The same document after 1.0.2, sections 3 and 3.1.4.
		"NATS binding, structured": {
			with("Content-Type", "application/cloudevents"),
			`{"specversion":"1.0","type":"tenant.requested","source":"/mycontext","id":"1","data":` + requestData + `}`, "/mycontext", "1",
		},
		"NATS binding, binary": {
			with("ce-specversion", "1.0", "ce-type", "tenant.requested", "ce-time", "2018-04-05T03:56:24Z", "ce-id", "1234-1234-1234",
				"ce-source", "/mycontext/subcontext", "ce-datacontenttype", "application/json", "ce-place", "Euro%20%E2%82%AC%20%F0%9F%98%80"),
			requestData, "/mycontext/subcontext", "1234-1234-1234",
		},
		// The same, section 3.1.3.2: receivers support quoted values, except that ours keeps id and source as they were sent.
		"NATS binding, quoted": {
			with("ce-specversion", `"1.0"`, "ce-type", `"tenant.requested"`, "ce-time", `"2018-04-05T03:56:24Z"`, "ce-id", "1", "ce-source", "/s",
				"ce-datacontenttype", `"application/json; charset=\"utf-8\""`, "ce-subject", `"acme" `),
			requestData, "/s", "1",
		},

		// sdk-go, protocol/nats_jetstream/v3/write_message.go: structured without a header; binary with fmt.Sprint of each
		// value, not percent-coded, and times with the zone of the program.
		"sdk-go, JetStream, structured": {
			nil, `{"specversion":"1.0","id":"1","source":"/s","type":"tenant.requested","datacontenttype":"application/json",` +
				`"time":"2026-03-04T13:00:00.123456789+01:00","data":` + requestData + `,"count":7,"flag":true}`, "/s", "1",
		},
		"sdk-go, JetStream, binary": {
			with("ce-specversion", "1.0", "ce-id", "order 1", "ce-source", "/s", "ce-type", "tenant.requested", "ce-subject", "acme",
				"ce-datacontenttype", "application/json", "ce-time", "2026-03-04T13:00:00.123456789+01:00", "ce-count", "7", "ce-flag", "true",
				"ce-place", "Zürich"),
			requestData, "/s", "order 1",
		},
		// Knative, eventing-natss, pkg/broker/ingress/handler.go: the body of sdk-go and only a message id.
		"Knative broker": {
			with("Nats-Msg-Id", "1"), `{"specversion":"1.0","id":"1","source":"urn:x","type":"tenant.requested",` +
				`"datacontenttype":"application/json","knativearrivaltime":"2026-03-04T12:00:00.000000001Z","data":` + requestData + `}`, "urn:x", "1",
		},

		// sdk-python, v1/sdk/event/base.py (json.dumps escapes what is not ASCII) and v1/http/event.py (isoformat).
		"sdk-python 1, structured": {
			with("content-type", "application/cloudevents+json"),
			`{"specversion": "1.0", "id": "1", "source": "/s", "type": "tenant.requested", "datacontenttype": "application/json", ` +
				`"time": "2026-03-04T12:00:00.123456+00:00", "data": {"tenant_id": "acme", "display_name": "Z\u00fcrich", "created_by": "me"}}`, "/s", "1",
		},
		"sdk-python 1, bytes": {
			with("content-type", "application/cloudevents+json"),
			`{"specversion": "1.0", "id": "1", "source": "/s", "type": "tenant.requested", "time": "2026-03-04T12:00:00+00:00", ` +
				`"data_base64": "` + base64.StdEncoding.EncodeToString([]byte(requestData)) + `"}`, "/s", "1",
		},
		"sdk-python 1, binary": {
			with("content-type", "application/json", "ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "tenant.requested",
				"ce-time", "2026-03-04T12:00:00.123456+00:00"),
			requestData, "/s", "1",
		},
		// sdk-python, core/bindings/http.py and common.py: percent-coded; the latter also codes colons and slashes.
		"sdk-python 2, HTTP binary": {
			with("content-type", "application/json", "ce-specversion", "1.0", "ce-id", "100%25", "ce-source", "https://x/y",
				"ce-type", "tenant.requested", "ce-time", "2026-03-04T12:00:00.123456Z", "ce-place", "Z%C3%BCrich%20%22N%22"),
			requestData, "https://x/y", "100%",
		},
		"sdk-python 2, all coded": {
			with("ce-specversion", "1.0", "ce-id", "1", "ce-source", "https%3A%2F%2Fx%2Fy", "ce-type", "tenant.requested",
				"ce-time", "2026-03-04T12%3A00%3A00Z", "ce-datacontenttype", "application%2Fjson"),
			requestData, "https://x/y", "1",
		},

		// sdk-java, formats/json-jackson/…/CloudEventSerializer.java: integers and booleans have their JSON types, other
		// numbers are text; data of a JSON type is written as it is.
		"sdk-java, structured": {
			with("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/s","type":"tenant.requested","datacontenttype":"application/json",` +
				`"subject":"acme","time":"2026-03-04T12:00:00.000000001Z","sequence":1,"ratio":"1.5","flag":true,"data":` + requestData + `}`, "/s", "1",
		},
		"sdk-java, data in base64": { // JsonFormat.withForceJsonDataToBase64
			with("Content-Type", "application/cloudevents+json"),
			`{"specversion":"1.0","id":"1","source":"/s","type":"tenant.requested","datacontenttype":"application/json",` +
				`"data_base64":"` + base64.StdEncoding.EncodeToString([]byte(requestData)) + `"}`, "/s", "1",
		},
		// sdk-java, http/basic/…/HttpMessageWriter.java.
		"sdk-java, HTTP binary": {
			with("ce-specversion", "1.0", "ce-id", "1", "ce-source", "/s", "ce-type", "tenant.requested", "Content-Type", "application/json",
				"ce-time", "2026-03-04T12:00:00Z", "ce-place", "Zürich"),
			requestData, "/s", "1",
		},

		// sdk-javascript, src/constants.ts and src/message/http: both content types have a charset.
		"sdk-javascript, structured": {
			with("content-type", "application/cloudevents+json; charset=utf-8"),
			`{"id":"1","time":"2026-03-04T12:00:00.000Z","type":"tenant.requested","source":"/s","specversion":"1.0","data":` + requestData + `}`, "/s", "1",
		},
		"sdk-javascript, binary": {
			with("content-type", "application/json; charset=utf-8", "ce-id", "1", "ce-time", "2026-03-04T12:00:00.000Z",
				"ce-type", "tenant.requested", "ce-source", "/s", "ce-specversion", "1.0"),
			requestData, "/s", "1",
		},
		// Go's http.Header and other libraries change the case of names.
		"canonical names": {
			with("Ce-Specversion", "1.0", "Ce-Id", "1", "Ce-Source", "/s", "Ce-Type", "tenant.requested", "Content-Type", "application/json"),
			requestData, "/s", "1",
		},

		// sdk-rust, src/binding/nats/serializer.rs: the JSON format, no header.
		"sdk-rust": {
			nil, `{"specversion":"1.0","id":"1","type":"tenant.requested","source":"/s","datacontenttype":"application/json","data":` + requestData + `}`, "/s", "1",
		},

		// Editors and .NET's Encoding.UTF8 write a byte order mark; RFC 8259, section 8.1, allows ignoring it.
		"byte order mark, bare":       {nil, "\ufeff" + bare(`"data":`+requestData), "/s", "1"},
		"byte order mark, structured": {structured, "\ufeff" + bare(`"data":`+requestData), "/s", "1"},
		"byte order mark, binary":     {binary(), "\ufeff" + requestData, "/s", "1"},
		"byte order mark, base64": {
			nil, bare(`"data_base64":"` + base64.StdEncoding.EncodeToString([]byte("\ufeff"+requestData)) + `"`), "/s", "1",
		},

		// RFC 3339, section 5.6 and its note, and the examples of section 5.8.
		"RFC 3339, lower case":         {nil, bare(`"time":"1985-04-12t23:20:50.52z","data":` + requestData), "/s", "1"},
		"RFC 3339, leap second":        {nil, bare(`"time":"1990-12-31T23:59:60Z","data":` + requestData), "/s", "1"},
		"RFC 3339, leap second, local": {binary("ce-time", "1990-12-31T15:59:60-08:00"), requestData, "/s", "1"},
		"RFC 3339, local time":         {nil, bare(`"time":"1937-01-01T12:00:27.87+00:20","data":` + requestData), "/s", "1"},
		"RFC 3339, unknown offset":     {nil, bare(`"time":"1985-04-12T23:20:50-00:00","data":` + requestData), "/s", "1"},

		// JSON format, section 3.1.1: JSON is */json and */*+json, whatever the case and the parameters.
		"datacontenttype +json":     {nil, bare(`"datacontenttype":"application/vnd.acme.v1+json; charset=utf-8","data":` + requestData), "/s", "1"},
		"datacontenttype text/json": {binary("ce-datacontenttype", "TEXT/JSON;Charset=UTF-8"), requestData, "/s", "1"},
		"datacontenttype x/json":    {binary("ce-datacontenttype", "model/json"), requestData, "/s", "1"},

		// Headers that say nothing about a body that can be read.
		"content-encoding that is none": {with("Content-Encoding", "utf-8"), bare(`"data":` + requestData), "/s", "1"},
		"Kafka's headers beside others": {binary("ce_id", "2"), requestData, "/s", "1"},
		"Kafka's headers beside a body": {with("ce_id", "2"), bare(`"data":` + requestData), "/s", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Decode(c.header, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			if e.Source() != c.source || e.ID() != c.id || e.Type() != events.TypeRequested {
				t.Errorf("source %q, id %q, type %q", e.Source(), e.ID(), e.Type())
			}
			got, err := events.RequestedFrom(e)
			if diff := cmp.Diff(events.Requested{TenantID: "acme", DisplayName: "Zürich", CreatedBy: "me"}, got); err != nil || diff != "" {
				t.Errorf("%v: -want +got:\n%s", err, diff)
			}
			checkRoundTrip(t, e)
		})
	}
}

// What a publisher may send by mistake is refused with a text that names the mistake and what to send. Where source and
// id can be read, the failure names them: the fault is then one of the data, in both content modes.
func TestPublishersAreRefusedByName(t *testing.T) {
	t.Parallel()
	request := bare(`"data":` + requestData)
	const notEvent, ofRequest = "", "data"
	for name, c := range map[string]struct {
		header header
		body   string
		field  string // of the request that was read, or notEvent
		text   string
	}{
		"gzip":                      {with("Content-Encoding", "gzip"), compressed(request), notEvent, "compressed with gzip; send it uncompressed"},
		"gzip, no header":           {nil, compressed(request), notEvent, "compressed with gzip; send it uncompressed"},
		"gzip, structured":          {structured, compressed(request), notEvent, "compressed with gzip; send it uncompressed"},
		"gzip, binary":              {binary("Content-Encoding", "gzip"), compressed(requestData), ofRequest, "compressed with gzip; send it uncompressed"},
		"zlib (deflate)":            {with("content-encoding", "deflate"), deflated(request), notEvent, "compressed with zlib; send it uncompressed"},
		"zlib, binary":              {binary(), deflated(requestData), ofRequest, "compressed with zlib; send it uncompressed"},
		"zstd":                      {structured, "\x28\xb5\x2f\xfd\x04\x00", notEvent, "compressed with zstd; send it uncompressed"},
		"brotli, which has no sign": {with("content-encoding", "br"), "\x8b\x02\x80{}\x03", notEvent, "not valid UTF-8; send JSON in UTF-8, uncompressed"},

		"UTF-16, mark, little":  {nil, utf16Text("le", "\ufeff"+request), notEvent, "is UTF-16; send UTF-8"},
		"UTF-16, mark, big":     {structured, utf16Text("be", "\ufeff"+request), notEvent, "is UTF-16; send UTF-8"},
		"UTF-16, little":        {structured, utf16Text("le", bare("")), notEvent, "is UTF-16; send UTF-8"},
		"UTF-16, big":           {nil, utf16Text("be", bare("")), notEvent, "is UTF-16; send UTF-8"},
		"UTF-16, binary":        {binary(), utf16Text("le", requestData), ofRequest, "is UTF-16; send UTF-8"},
		"UTF-32, mark":          {nil, "\xff\xfe\x00\x00{\x00\x00\x00", notEvent, "is UTF-32; send UTF-8"},
		"UTF-32":                {nil, "{\x00\x00\x00}\x00\x00\x00", notEvent, "is UTF-32; send UTF-8"},
		"ISO 8859-1":            {structured, bare("\"subject\":\"Z\xfcrich\""), notEvent, "not valid UTF-8; send JSON in UTF-8"},
		"ISO 8859-1 in binary":  {binary(), "{\"tenant_id\":\"Z\xfcrich\"}", ofRequest, "not valid UTF-8; send JSON in UTF-8"},
		"ISO 8859-1 in headers": {binary("ce-place", "Z\xfcrich"), requestData, notEvent, "not UTF-8"},

		// spec, bindings/kafka-protocol-binding.md, section 3.2.3; amqp-protocol-binding.md, section 3.1.3.1.
		"Kafka": {
			with("ce_specversion", "1.0", "ce_type", "tenant.requested", "ce_source", "/s", "ce_id", "1", "content-type", "application/avro"), requestData,
			notEvent, `header "ce_id" is of the Kafka binding; header names on NATS begin with ce-`,
		},
		"Kafka, JSON": {with("CE_ID", "1"), requestData, notEvent, `header "CE_ID" is of the Kafka binding`},
		"AMQP":        {with("cloudEvents_id", "1"), requestData, notEvent, `header "cloudEvents_id" is of the AMQP binding`},
		"AMQP, colon": {with("cloudEvents", "id: 1"), requestData, notEvent, `header "cloudEvents" is of the AMQP binding`},
		// sdk-javascript's comment: "Events sent over HTTP in structured mode only have a single CE header".
		"structured with one header": {with("ce-id", "1"), request, notEvent, "no ce-specversion; send a CloudEvents 1.0 JSON object with the header content-type"},

		"batch":                {with("content-type", "application/cloudevents-batch+json; charset=utf-8"), "[" + request + "]", notEvent, "publish each event on its own"},
		"batch, as structured": {structured, "\ufeff [" + request + "]", notEvent, "publish each event on its own"},
		"batch, bare":          {nil, "[" + request + "]", notEvent, "publish each event on its own"},
		"Avro":                 {with("content-type", "application/cloudevents+avro"), "\x00", notEvent, `"application/cloudevents+avro" is not supported; send application/cloudevents+json`},
		"NUL in the text":      {structured, bare("\"data\":\"\x00\""), notEvent, "the body is not a JSON object; send"},
		"no event":             {structured, "", notEvent, "the body is empty, not a JSON object; send"},
		"event as text":        {structured, `"{}"`, notEvent, "the body is a string, not a JSON object; send"},

		"specversion 1.0":       {nil, strings.Replace(request, `"1.0"`, `1.0`, 1), notEvent, `specversion is a number, not a string; send the string "1.0"`},
		"specversion 1":         {nil, strings.Replace(request, `"1.0"`, `1`, 1), notEvent, `specversion is a number, not a string; send the string "1.0"`},
		"specversion 0.3":       {nil, strings.Replace(request, `"1.0"`, `"0.3"`, 1), notEvent, `specversion is "0.3"; send "1.0"`},
		"specversion 1.0.2":     {with("ce-specversion", "1.0.2", "ce-id", "1", "ce-source", "/s", "ce-type", "tenant.requested"), requestData, notEvent, `specversion is "1.0.2"; send "1.0"`},
		"specVersion":           {nil, strings.Replace(request, `specversion`, `specVersion`, 1), notEvent, `"specVersion" is not an attribute name; write specversion`},
		"id 1":                  {nil, strings.Replace(request, `"id":"1"`, `"id":1`, 1), notEvent, "id is a number, not a string; send a string"},
		"subject 1":             {nil, bare(`"subject":1.5`), notEvent, "subject is a number, not a string; send a string"},
		"Java's epoch":          {nil, bare(`"time":1772625600000`), notEvent, `time is a number, not a string; send a string such as "20`},
		"Python's naive time":   {nil, bare(`"time":"2026-03-04T12:00:00.123456"`), notEvent, "is not an RFC 3339 time such as 20"},
		"SQL's time":            {binary("ce-time", "2026-03-04 12:00:00Z"), requestData, notEvent, "is not an RFC 3339 time such as 20"},
		"extension 1.5":         {nil, bare(`"ratio":1.5`), notEvent, `"1.5" is not an integer of 32 bits; send a string`},
		"extension of 64 bits":  {nil, bare(`"millis":1772625600000`), notEvent, "is not an integer of 32 bits; send a string"},
		"extension {}":          {nil, bare(`"claims":{"a":1}`), notEvent, "attributes are strings, integers or booleans"},
		"camelCase":             {nil, bare(`"traceParent":"x"`), notEvent, `"traceParent" is not an attribute name; use a–z and 0–9`},
		"sdk-go's percent sign": {binary("ce-discount", "100%"), requestData, notEvent, "has a percent sign without two hex digits; write %25"},
		"base64url":             {nil, bare(`"data_base64":"_-8"`), notEvent, "not base64 by RFC 4648, section 4"},

		// The content type is a fault of the request in both modes.
		"XML, structured, object": {nil, bare(`"datacontenttype":"application/xml","data":` + requestData), "datacontenttype", `is "application/xml"; send application/json`},
		"XML, structured, text":   {nil, bare(`"datacontenttype":"application/xml","data":"<a/>"`), "datacontenttype", `is "application/xml"; send application/json`},
		"XML, structured, null":   {nil, bare(`"datacontenttype":"application/xml","data":null`), "datacontenttype", `is "application/xml"; send application/json`},
		"XML, structured, base64": {nil, bare(`"datacontenttype":"application/xml","data_base64":"PGEvPg=="`), "datacontenttype", `is "application/xml"; send application/json`},
		"XML, binary":             {binary("ce-datacontenttype", "application/xml"), "<a/>", "datacontenttype", `is "application/xml"; send application/json`},
		"XML by the HTTP binding": {binary("content-type", "application/xml"), "<a/>", ofRequest, "is not a JSON object"},
		// sdk-python, CloudEvent(attributes, json.dumps(data)): a string that holds JSON.
		"data as text":         {nil, bare(`"data":"{\"tenant_id\":\"acme\"}"`), ofRequest, "is a string, not a JSON object"},
		"data as text, binary": {binary(), `"{\"tenant_id\":\"acme\"}"`, ofRequest, "is a string, not a JSON object"},
		"data as list":         {nil, bare(`"data":[` + requestData + `]`), ofRequest, "is an array, not a JSON object"},
		"data null":            {nil, bare(`"data":null`), ofRequest, "is null, not a JSON object"},
		"data true":            {nil, bare(`"data":true`), ofRequest, "is a boolean, not a JSON object"},
		"data 1":               {nil, bare(`"data":1`), ofRequest, "is a number, not a JSON object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Decode(c.header, []byte(c.body))
			if c.field == notEvent {
				if !errors.Is(err, events.ErrUndecodable) {
					t.Fatalf("%v, want ErrUndecodable; read %v", err, e)
				}
			} else {
				if err != nil {
					t.Fatal(err)
				}
				if e.Source() != "/s" || e.ID() != "1" {
					t.Errorf("source %q, id %q", e.Source(), e.ID())
				}
				_, err = events.RequestedFrom(e)
				var fault *events.RequestError
				if !errors.As(err, &fault) || fault.Code != events.CauseInvalidRequest || fault.Field != c.field {
					t.Fatalf("%#v", err)
				}
				checkRoundTrip(t, e)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q does not contain %q", err, c.text)
			}
			checkShort(t, err)
		})
	}
}

func compressed(s string) string {
	var b bytes.Buffer
	return written(&b, gzip.NewWriter(&b), s)
}

func deflated(s string) string {
	var b bytes.Buffer
	return written(&b, zlib.NewWriter(&b), s)
}

func written(b *bytes.Buffer, w io.WriteCloser, s string) string {
	if _, err := io.WriteString(w, s); err != nil {
		panic(err)
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	return b.String()
}

// utf16Text encodes a text in UTF-16: "le" or "be".
func utf16Text(order, s string) string {
	var b []byte
	for _, unit := range utf16.Encode([]rune(s)) {
		low, high := byte(unit), byte(unit>>8)
		if order == "le" {
			b = append(b, low, high)
		} else {
			b = append(b, high, low)
		}
	}
	return string(b)
}
