package events_test

import (
	"bytes"
	"errors"
	"maps"
	"strings"
	"testing"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/cloudevents/sdk-go/v2/types"
	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
)

// plain returns an event as comparable text: extensions without their types, JSON without surrounding space.
func plain(t *testing.T, e event.Event) map[string]string {
	t.Helper()
	m := map[string]string{
		"id": e.ID(), "source": e.Source(), "type": e.Type(), "subject": e.Subject(),
		"datacontenttype": e.DataContentType(), "dataschema": e.DataSchema(),
		"time": e.Time().String(), "data": string(e.Data()),
	}
	if strings.Contains(strings.ToLower(e.DataContentType()), "json") || e.DataContentType() == "" {
		m["data"] = string(bytes.TrimSpace(e.Data()))
	}
	for name, value := range e.Extensions() {
		text, err := types.Format(value)
		if err != nil {
			t.Fatal(err)
		}
		m["extension "+name] = text
	}
	return m
}

// checkRoundTrip checks invariant 6.
func checkRoundTrip(t *testing.T, e event.Event) {
	t.Helper()
	want := plain(t, e)
	for mode, encode := range map[string]func(event.Event) (map[string][]string, []byte, error){
		"structured": events.Encode, "binary": events.EncodeBinary,
	} {
		header, body, err := encode(e)
		if err != nil {
			t.Fatalf("%s: %v", mode, err)
		}
		again, err := events.Decode(header, body)
		if err != nil {
			t.Fatalf("%s: %v\n%v\n%s", mode, err, header, body)
		}
		if diff := cmp.Diff(want, plain(t, again)); diff != "" {
			t.Fatalf("%s: -before +after:\n%s", mode, diff)
		}
		header2, body2, err := encode(again)
		if err != nil || !bytes.Equal(bytes.TrimSpace(body), bytes.TrimSpace(body2)) ||
			!maps.EqualFunc(header, header2, func(a, b []string) bool { return cmp.Equal(a, b) }) {
			t.Fatalf("%s: equal events, different bytes (%v):\n%s\n%s", mode, err, body, body2)
		}
	}
}

// checkShort checks the part of invariant 5 about errors.
func checkShort(t *testing.T, err error) {
	t.Helper()
	if len(err.Error()) > 1200 || strings.ContainsAny(err.Error(), "\n\x00") {
		t.Errorf("%d bytes, or more than one line: %.300q", len(err.Error()), err)
	}
}

// Invariants 5 and 6.
func FuzzDecode(f *testing.F) {
	f.Add("", "", "", "", bare(`"subject":"a","data":{"a":[1]}`))
	f.Add("Content-Type", "application/cloudevents+json", "x", "y", bare(`"data_base64":"AA==","x":-1`))
	f.Add("ce-subject", "%C3%BC", "CE-Time", "2026-03-04T12:00:00.123+01:00", " {}\n")
	f.Add("ce-dataschema", "HTTP://x/%7e#", "ce-datacontenttype", "text/plain", "\xff")
	f.Add("ce-datacontenttype", "Application/X+JSON", "ce-source", "", `{`)
	f.Fuzz(func(t *testing.T, name1, value1, name2, value2, body string) {
		for _, h := range []header{{}, binary()} {
			h[name1] = append(h[name1], value1)
			h[name2] = append(h[name2], value2)
			e, err := events.Decode(h, []byte(body))
			if err == nil {
				checkRoundTrip(t, e)
				continue
			}
			if !errors.Is(err, events.ErrUndecodable) {
				t.Fatal(err)
			}
			checkShort(t, err)
		}
	})
}

// Invariant 7.
func FuzzRequestedFrom(f *testing.F) {
	f.Add("application/json", "acme", `{"tenant_id":"acme","display_name":"Acme","created_by":"me","isolation_strategy":"schema"}`)
	f.Add("", "", `{"tenant_id":"a\ud800","display_name":1,"created_by":null}`)
	f.Add("text/json;charset=utf-8", "b", `{"tenant_id":"a","tenant_id":"b"}`)
	f.Fuzz(func(t *testing.T, contentType, subject, data string) {
		e := event.New()
		e.SetDataContentType(contentType)
		e.SetSubject(subject)
		e.DataEncoded = []byte(data)
		r, err := events.RequestedFrom(e)
		if err != nil {
			var fault *events.RequestError
			if !errors.As(err, &fault) || fault.Code != events.CauseInvalidRequest || fault.Field == "" {
				t.Fatalf("%#v", err)
			}
			checkShort(t, err)
			return
		}
		if r.Validate() != nil {
			return
		}
		again, err := events.NewRequested("/s", "1", r)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := events.RequestedFrom(again); err != nil || back != r {
			t.Fatalf("%v: %v became %v", err, r, back)
		}
	})
}
