package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

type header = map[string][]string

var structured = header{"content-type": {"application/cloudevents+json"}}

// bare returns a structured event with these members added.
func bare(members string) string {
	if members != "" {
		members = "," + members
	}
	return `{"specversion":"1.0","id":"1","source":"/s","type":"tenant.requested"` + members + `}`
}

// binary returns the header of a binary event with these headers added: name, value, name, value, …
func binary(more ...string) header {
	h := header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"tenant.requested"}}
	for i := 0; i < len(more); i += 2 {
		h[more[i]] = append(h[more[i]], more[i+1])
	}
	return h
}

// Invariants 1, 3, 4.
func TestDecodeReads(t *testing.T) {
	t.Parallel()
	type want struct {
		ID, Source, Subject, ContentType, Schema, Time, Data string
		Extensions                                           map[string]any
	}
	for name, c := range map[string]struct {
		header header
		body   string
		want   want
	}{
		"structured":                  {structured, bare(`"data":{"a":1}`), want{Data: `{"a":1}`}},
		"structured, case and params": {header{"CONTENT-Type": {" Application/CloudEvents+JSON ; charset=UTF-8"}}, bare(""), want{}},
		"structured, ce-* ignored":    {header{"content-type": structured["content-type"], "ce-id": {"other"}}, bare(""), want{}},
		"structured without format":   {header{"content-type": {"application/cloudevents; charset=utf-8"}}, bare(""), want{}},
		"byte order mark":             {structured, "\ufeff " + bare("\"data\":\"\ufeff\""), want{Data: "\"\ufeff\""}},
		"byte order mark, bare":       {nil, "\ufeff" + bare(""), want{}},
		"byte order mark of the data": {binary(), "\ufeff{}", want{Data: "\ufeff{}"}},
		"bare":                        {nil, " \n" + bare("") + "\n", want{}},
		"bare with other headers":     {header{"Nats-Msg-Id": {"1"}}, bare(""), want{}},
		"bare as application/json":    {header{"Content-Type": {"application/json; charset=utf-8"}}, bare(""), want{}},
		"binary":                      {binary("ce-datacontenttype", "application/json"), `{"a":1}`, want{ContentType: "application/json", Data: `{"a":1}`}},
		"binary beside content-type":  {binary("content-type", "text/plain"), "x", want{Data: "x"}},
		"binary names fold": {
			header{"CE-SpecVersion": {"1.0"}, "Ce-Id": {"1"}, "cE-source": {"/s"}, "ce-TYPE": {"tenant.requested"}, "Ce-CorrelationId": {"c"}},
			"",
			want{Extensions: map[string]any{"correlationid": "c"}},
		},
		"binary percent-coding, either case": {
			binary("ce-subject", "Z%C3%BCrich%20%c3%a9%25%22"), "", want{Subject: `Zürich é%"`},
		},
		"binary is decoded once":    {binary("ce-subject", "%2541"), "", want{Subject: "%41"}},
		"binary, quoted":            {binary("ce-subject", `"a \"b\" \\ %41"`), "", want{Subject: `a "b" \ A`}},
		"binary, two quoted":        {binary("ce-subject", `"a" "b"`), "", want{Subject: `"a" "b"`}},
		"binary, quote without end": {binary("ce-subject", `"a\"`), "", want{Subject: `"a\"`}},
		"binary, one quote":         {binary("ce-subject", `"`), "", want{Subject: `"`}},
		"binary, blanks around":     {binary("ce-subject", " \ta \t"), "", want{Subject: "a"}},
		"binary identity is exact": {
			header{"ce-specversion": {`"1.0" `}, "ce-id": {`"1" `}, "ce-source": {`"/s"`}, "ce-type": {"t"}}, "", want{ID: `"1" `, Source: `"/s"`},
		},
		"binary, not encoded":        {binary("ce-subject", `Zürich "a"`), "", want{Subject: `Zürich "a"`}},
		"binary without values":      {header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}, "ce-subject": {}}, "", want{}},
		"time becomes UTC":           {nil, bare(`"time":"2026-03-04T12:00:00.5+02:00"`), want{Time: "2026-03-04T10:00:00.5Z"}},
		"leap second":                {nil, bare(`"time":"1990-12-31T23:59:60Z"`), want{Time: "1991-01-01T00:00:00Z"}},
		"leap second, local time":    {nil, bare(`"time":"1990-12-31t15:59:60.5-08:00"`), want{Time: "1991-01-01T00:00:00.5Z"}},
		"time of many digits":        {nil, bare(`"time":"2026-03-04T12:00:00.1234567891Z"`), want{Time: "2026-03-04T12:00:00.123456789Z"}},
		"time in lower case":         {nil, bare(`"time":"2026-03-04t12:00:00z"`), want{Time: "2026-03-04T12:00:00Z"}},
		"binary time":                {binary("ce-time", "2026-03-04T12:00:00Z"), "", want{Time: "2026-03-04T12:00:00Z"}},
		"null and empty are absent":  {nil, bare(`"subject":null,"time":null,"datacontenttype":"","dataschema":"","x":null,"data_base64":null`), want{}},
		"null data is null":          {nil, bare(`"data":null`), want{Data: "null"}},
		"extensions have types":      {nil, bare(`"a":"x","b":true,"c":-7,"d":"","e":false`), want{Extensions: map[string]any{"a": "x", "b": true, "c": int32(-7), "d": "", "e": false}}},
		"text data":                  {nil, bare(`"datacontenttype":"text/plain","data":"a\nb"`), want{ContentType: "text/plain", Data: "a\nb"}},
		"data of a +json type":       {nil, bare(`"datacontenttype":"application/vnd.x+json","data":{"a":1}`), want{ContentType: "application/vnd.x+json", Data: `{"a":1}`}},
		"data of type JSON, upcased": {nil, bare(`"datacontenttype":"Application/JSON","data":[1]`), want{ContentType: "Application/JSON", Data: `[1]`}},
		"data before specversion":    {nil, `{"data":"x","datacontenttype":"text/plain","source":"/s","type":"t","id":"1","specversion":"1.0"}`, want{ContentType: "text/plain", Data: "x"}},
		"object of a text type":      {nil, bare(`"datacontenttype":"text/plain","data":{"a": [1]}`), want{ContentType: "text/plain", Data: `{"a": [1]}`}},
		"null of a text type":        {nil, bare(`"datacontenttype":"text/plain","data":null`), want{ContentType: "text/plain"}},
		"any type with subtype json": {nil, bare(`"datacontenttype":"model/JSON","data":{}`), want{ContentType: "model/JSON", Data: `{}`}},
		"base64, escaped in JSON":    {nil, bare(`"data_base64":"\/\/8="`), want{Data: "\xff\xff"}},
		"a pair of surrogates":       {nil, bare(`"subject":"\ud83d\ude00\\u"`), want{Subject: `😀\u`}},
		"dataschema":                 {nil, bare(`"dataschema":"HTTPS://x/y z"`), want{Schema: "HTTPS://x/y z"}},
		"id is not trimmed":          {nil, `{"specversion":"1.0","id":" 1 ","source":"/s","type":"t"}`, want{ID: " 1 "}},
		"source with spaces":         {nil, `{"specversion":"1.0","id":"1","source":"my app","type":"t"}`, want{Source: "my app"}},
		"source with empty fragment": {nil, `{"specversion":"1.0","id":"1","source":"/s#","type":"t"}`, want{Source: "/s#"}},
		"source is not lowered":      {nil, `{"specversion":"1.0","id":"1","source":"HTTP://X/ü","type":"t"}`, want{Source: "HTTP://X/ü"}},
		"source is not unescaped":    {header{"ce-specversion": {"1.0"}, "ce-id": {"1"}, "ce-source": {"/%2541"}, "ce-type": {"t"}}, "", want{Source: "/%41"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Decode(c.header, []byte(c.body))
			if err != nil {
				t.Fatal(err)
			}
			got := want{
				ID: e.ID(), Source: e.Source(), Subject: e.Subject(), ContentType: e.DataContentType(),
				Schema: e.DataSchema(), Data: string(e.Data()), Extensions: e.Extensions(),
			}
			if !e.Time().IsZero() {
				got.Time = e.Time().Format(time.RFC3339Nano)
			}
			if c.want.ID == "" {
				c.want.ID = "1"
			}
			if c.want.Source == "" {
				c.want.Source = "/s"
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
			checkRoundTrip(t, e)
		})
	}
}

// Invariants 2 to 5: what is rejected, and that the error has the reason.
func TestDecodeRejects(t *testing.T) {
	t.Parallel()
	core := func(id, source, eventType string) string {
		return fmt.Sprintf(`{"specversion":"1.0","id":%s,"source":%s,"type":%s}`, id, source, eventType)
	}
	for name, c := range map[string]struct {
		header header
		body   string
		text   string
	}{
		"nothing":                      {nil, "", "empty"},
		"text":                         {nil, "hello", "not a JSON object"},
		"a JSON string":                {nil, `"x"`, "not a JSON object"},
		"JSON, no specversion":         {nil, `{"tenant_id":"a"}`, "no specversion"},
		"empty object":                 {nil, `{}`, "no specversion"},
		"another content type":         {header{"content-type": {"text/plain"}}, bare(""), "content-type is \"text/plain\""},
		"an empty content type":        {header{"content-type": {""}}, bare(""), "content-type"},
		"batch by content type":        {header{"Content-Type": {"application/cloudevents-batch+json"}}, "[]", "publish each event on its own"},
		"batch, upper case":            {header{"Content-Type": {"APPLICATION/CLOUDEVENTS-BATCH+JSON; charset=utf-8"}}, "[]", "publish each event on its own"},
		"bare batch":                   {nil, " [" + bare("") + "]", "publish each event on its own"},
		"bare batch as JSON":           {header{"content-type": {"application/json"}}, "[]", "publish each event on its own"},
		"array as structured":          {structured, "[" + bare("") + "]", "publish each event on its own"},
		"another event format":         {header{"content-type": {"application/cloudevents+avro"}}, "x", "+avro"},
		"content type twice":           {header{"content-type": {"application/cloudevents+json"}, "Content-Type": {"text/plain"}}, bare(""), "more than once"},
		"header twice":                 {binary("ce-id", "2"), "", "more than once"},
		"header twice after folding":   {binary("CE-ID", "1"), "", "more than once"},
		"header twice, structured too": {header{"content-type": structured["content-type"], "ce-id": {"1", "2"}}, bare(""), "more than once"},
		"header without name":          {binary("ce-", "x"), "", "not an attribute name"},
		"header with a bad name":       {binary("ce-a-b", "x"), "", "not an attribute name"},
		"ce-data":                      {binary("ce-data", "x"), "", "not an attribute name"},
		"percent at the end":           {binary("ce-subject", "100%"), "", "%25"},
		"percent, one digit":           {binary("ce-subject", "%4"), "", "%25"},
		"percent, no digits":           {binary("ce-subject", "%GG"), "", "%25"},
		"percent, not UTF-8":           {binary("ce-subject", "%FF"), "", "not UTF-8"},
		"raw, not UTF-8":               {binary("ce-subject", "\xff"), "", "not UTF-8"},
		"percent-coded NUL":            {binary("ce-subject", "a%00"), "", "U+0000"},
		"binary, no specversion":       {header{"ce-id": {"1"}}, "{}", "no ce-specversion; send"},
		"binary, empty id":             {header{"ce-specversion": {"1.0"}, "ce-id": {""}, "ce-source": {"/s"}, "ce-type": {"t"}}, "", "id is missing"},
		"binary, bad time":             {binary("ce-time", "yesterday"), "", "RFC 3339"},
		"specversion 0.3":              {nil, `{"specversion":"0.3","id":"1","source":"/s","type":"t"}`, `specversion is "0.3"`},
		"binary 0.3":                   {header{"ce-specversion": {"0.3"}, "ce-id": {"1"}, "ce-source": {"/s"}, "ce-type": {"t"}}, "", `specversion is "0.3"`},
		"specversion is a number":      {nil, `{"specversion":1.0,"id":"1","source":"/s","type":"t"}`, `specversion is a number, not a string; send the string "1.0"`},
		"specversion in other case":    {nil, `{"specVersion":"1.0","id":"1","source":"/s","type":"t"}`, `"specVersion" is not an attribute name; write specversion`},
		"specversion is null":          {nil, `{"specversion":null,"id":"1","source":"/s","type":"t"}`, "no specversion"},
		"invalid UTF-8":                {structured, bare("\"x\":\"\xff\""), "UTF-8"},
		"two byte order marks":         {structured, "\ufeff\ufeff" + bare(""), "not a JSON object"},
		"trailing data":                {structured, bare("") + "x", "follows"},
		"two objects":                  {structured, bare("") + bare(""), "follows"},
		"cut off":                      {structured, bare("")[:40], "not a JSON object"},
		"trailing comma":               {structured, `{"specversion":"1.0",}`, "not a JSON object"},
		"no colon":                     {structured, `{"specversion" "1.0"}`, "not a JSON object"},
		"duplicate key":                {structured, bare(`"id":"2"`), "more than once"},
		"duplicate key, escaped":       {structured, bare(`"\u0069d":"2"`), "more than once"},
		"duplicate data":               {structured, bare(`"data":1,"data":2`), "more than once"},
		"empty key":                    {structured, bare(`"":1,"subject":"x"`), "not an attribute name"},
		"upper-case name":              {structured, bare(`"correlationId":"x"`), "not an attribute name"},
		"name with underscore":         {structured, bare(`"trace_id":"x"`), "not an attribute name"},
		"data and data_base64":         {structured, bare(`"data":1,"data_base64":"AA=="`), "both"},
		"base64 is a number":           {structured, bare(`"data_base64":1`), "not a string"},
		"base64 is not base64":         {structured, bare(`"data_base64":"!"`), "not base64"},
		"text data is no text":         {structured, bare(`"datacontenttype":"text/plain","data":"\ud800"`), "surrogate"},
		"too deep":                     {structured, bare(`"data":` + strings.Repeat("[", 64) + strings.Repeat("]", 64)), "64 levels"},
		"id is a number":               {structured, core("1", `"/s"`, `"t"`), "id is a number, not a string; send a string"},
		"id is null":                   {structured, core("null", `"/s"`, `"t"`), "id is missing"},
		"id is empty":                  {structured, core(`""`, `"/s"`, `"t"`), "id is missing"},
		"id is blank":                  {structured, core(`" "`, `"/s"`, `"t"`), "id is missing"},
		"id with newline":              {structured, core(`"a\nb"`, `"/s"`, `"t"`), "U+000A"},
		"id with C1 control":           {structured, core(`"a\u0085"`, `"/s"`, `"t"`), "U+0085"},
		"id with DEL":                  {structured, core("\"\u007f\"", `"/s"`, `"t"`), "U+007F"},
		"id with lone high surrogate":  {structured, core(`"\ud800"`, `"/s"`, `"t"`), "surrogate"},
		"id with lone low surrogate":   {structured, core(`"\udc00x"`, `"/s"`, `"t"`), "surrogate"},
		"id with two high surrogates":  {structured, core(`"\ud800\ud800"`, `"/s"`, `"t"`), "surrogate"},
		"id with a broken pair":        {structured, core(`"\ud800x\udc00"`, `"/s"`, `"t"`), "surrogate"},
		"id with a noncharacter":       {structured, core(`"\uffff"`, `"/s"`, `"t"`), "U+FFFF"},
		"source missing":               {structured, `{"specversion":"1.0","id":"1","type":"t"}`, "source is missing"},
		"source empty":                 {structured, core(`"1"`, `""`, `"t"`), "source is missing"},
		"source is no URI":             {structured, core(`"1"`, `"/%zz"`, `"t"`), "not a URI reference"},
		"source is an object":          {structured, core(`"1"`, `{}`, `"t"`), "source is an object, not a string"},
		"type empty":                   {structured, core(`"1"`, `"/s"`, `""`), "type is missing"},
		"type with control":            {structured, core(`"1"`, `"/s"`, `"t\u0000"`), "U+0000"},
		"type is true":                 {structured, core(`"1"`, `"/s"`, `true`), "type is a boolean, not a string"},
		"subject is blank":             {structured, bare(`"subject":" "`), "subject"},
		"subject with control":         {structured, bare(`"subject":"\u0007"`), "U+0007"},
		"extension with control":       {structured, bare(`"x":"\u001f"`), "U+001F"},
		"extension is a fraction":      {structured, bare(`"x":1.5`), "32 bits"},
		"extension is too big":         {structured, bare(`"x":2147483648`), "32 bits"},
		"extension is a list":          {structured, bare(`"x":["a"]`), "object or array"},
		"time is a number":             {structured, bare(`"time":1`), "time is a number, not a string"},
		"time in milliseconds":         {structured, bare(`"time":1772625600000`), `time is a number, not a string; send a string such as "20`},
		"time with second 60 at noon":  {structured, bare(`"time":"2026-12-31T12:00:60Z"`), "only the last minute of a month, in UTC"},
		"second 60 in local time":      {structured, bare(`"time":"2026-12-31T23:59:60-08:00"`), "only the last minute of a month, in UTC"},
		"second 60 amid a month":       {structured, bare(`"time":"2026-12-30T23:59:60Z"`), "only the last minute of a month, in UTC"},
		"second 60 ends year 9999":     {structured, bare(`"time":"9999-12-31T23:59:60Z"`), "RFC 3339"},
		"second 61":                    {structured, bare(`"time":"2026-12-31T23:59:61Z"`), "RFC 3339"},
		"second 60, and a digit":       {structured, bare(`"time":"2026-12-31T23:59:600Z"`), "RFC 3339"},
		"time without zone":            {structured, bare(`"time":"2026-03-04T12:00:00"`), "RFC 3339"},
		"time with comma":              {structured, bare(`"time":"2026-03-04T12:00:00,5Z"`), "RFC 3339"},
		"time after year 9999":         {structured, bare(`"time":"9999-12-31T23:59:59-01:00"`), "RFC 3339"},
		"time before year 0":           {structured, bare(`"time":"0000-01-01T00:00:00+01:00"`), "RFC 3339"},
		"content type is nonsense":     {structured, bare(`"datacontenttype":"a b"`), "datacontenttype"},
		"dataschema is relative":       {structured, bare(`"dataschema":"/x"`), "dataschema"},
		"dataschema is no URI":         {structured, bare(`"dataschema":":"`), "not a URI reference"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Decode(c.header, []byte(c.body))
			if !errors.Is(err, events.ErrUndecodable) {
				t.Fatalf("got %v and %v, want ErrUndecodable", e, err)
			}
			if !strings.Contains(err.Error(), c.text) {
				t.Errorf("%q does not contain %q", err, c.text)
			}
			checkShort(t, err)
		})
	}
}

// Invariant 6: nothing that Decode would reject is encoded.
func TestEncodeRejects(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*event.Event){
		"no context":         func(e *event.Event) { e.Context = nil },
		"no id":              func(e *event.Event) { e.Context.(*event.EventContextV1).ID = "" },
		"control character":  func(e *event.Event) { e.SetID("a\nb") },
		"source, no URI":     func(e *event.Event) { e.SetSource("%zz") },
		"specversion 0.3":    func(e *event.Event) { e.SetSpecVersion("0.3") },
		"extension data":     func(e *event.Event) { e.SetExtension("data", "x") },
		"extension controls": func(e *event.Event) { e.SetExtension("x", "\x00") },
		"extension named id": func(e *event.Event) { e.Context.(*event.EventContextV1).Extensions = map[string]any{"id": "2"} },
		"extension, no type": func(e *event.Event) {
			e.Context.(*event.EventContextV1).Extensions = map[string]any{"x": struct{}{}}
		},
		"year 10000": func(e *event.Event) { e.SetTime(time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event.New()
			e.SetID("1")
			e.SetSource("/s")
			e.SetType("t")
			change(&e)
			if _, body, err := events.Encode(e); err == nil {
				t.Errorf("Encode wrote %s", body)
			}
			if header, _, err := events.EncodeBinary(e); err == nil {
				t.Errorf("EncodeBinary wrote %v", header)
			}
		})
	}
}

// Invariant 6: data that cannot be part of a JSON text, and every type that an extension can have.
func TestRoundTripOfSDKEvents(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*event.Event) error{
		"base64":         func(e *event.Event) error { return e.SetData("application/octet-stream", []byte{0, 0xff}) },
		"base64 of JSON": func(e *event.Event) error { return e.SetData("application/json", []byte(`{}`)) },
		"text":           func(e *event.Event) error { return e.SetData("text/plain", "a\u2028<b>") },
		"invalid JSON":   func(e *event.Event) error { e.DataEncoded = []byte("{"); return nil },
		"JSON that is too deep": func(e *event.Event) error {
			e.DataEncoded = []byte(strings.Repeat("[", 64) + strings.Repeat("]", 64))
			return nil
		},
		"text that is binary": func(e *event.Event) error {
			e.SetDataContentType("text/plain")
			e.DataEncoded = []byte{0xff}
			return nil
		},
		"extensions": func(e *event.Event) error {
			e.SetExtension("a", time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC))
			e.SetExtension("b", []byte{1, 2})
			e.SetExtension("c", 7)
			e.SetExtension("d", true)
			e.SetExtension("e", `50% "off"`)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e := event.New()
			e.SetID("1")
			e.SetSource("/s")
			e.SetType("t")
			if err := change(&e); err != nil {
				t.Fatal(err)
			}
			checkRoundTrip(t, e)
		})
	}
}
