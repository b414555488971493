package events_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
)

// Invariant 5: messages that crash other consumers.
func TestPoison(t *testing.T) {
	t.Parallel()
	big := strings.Repeat("x", 1<<20)
	many := binary()
	for i := range 10_000 {
		many[fmt.Sprintf("ce-x%d", i)] = []string{"v"}
	}
	repeated := binary()
	repeated["ce-id"] = make([]string, 10_000)
	foreign := header{}
	for i := range 10_000 {
		foreign[fmt.Sprintf("X-%d", i)] = []string{big[:100]}
	}
	for name, c := range map[string]struct {
		header   header
		body     string
		readable bool
	}{
		"1 MiB of data":              {structured, bare(`"data":"` + big + `"`), true},
		"1 MiB of binary data":       {binary(), big, true},
		"1 MiB of text":              {nil, big, false},
		"1 MiB of zeros":             {nil, strings.Repeat("\x00", 1<<20), false},
		"1 MiB id":                   {structured, `{"specversion":"1.0","source":"/s","type":"t","id":"` + big + `"}`, true},
		"1 MiB id, control at end":   {structured, `{"specversion":"1.0","source":"/s","type":"t","id":"` + big + `\u0000"}`, false},
		"1 MiB source, no URI":       {binary("ce-subject", big+"%"), "", false},
		"1 MiB type of data":         {binary("ce-datacontenttype", strings.Repeat("a/b;", 1<<18)), "", false},
		"1 MiB attribute name":       {structured, bare(`"` + big + `_":1`), false},
		"1 MiB specversion":          {structured, `{"specversion":"` + big + `"}`, false},
		"1 MiB number":               {structured, bare(`"x":` + strings.Repeat("9", 1<<20)), false},
		"1 MiB time":                 {structured, bare(`"time":"` + big + `"`), false},
		"1 MiB content type":         {header{"content-type": {big}}, "{}", false},
		"1 MiB event format":         {header{"content-type": {"application/cloudevents+" + big}}, "{}", false},
		"10,000 attributes":          {many, "", true},
		"10,000 ids":                 {repeated, "", false},
		"10,000 other headers":       {foreign, "", false},
		"100,000 keys":               {structured, "{" + strings.Repeat(`"a":1,`, 100_000) + `"a":1}`, false},
		"100,000 brackets":           {structured, bare(`"data":` + strings.Repeat("[", 100_000)), false},
		"100,000 brackets, closed":   {structured, bare(`"data":` + strings.Repeat("[", 100_000) + strings.Repeat("]", 100_000)), false},
		"100,000 brackets, bare":     {nil, strings.Repeat("[", 100_000), false},
		"100,000 objects":            {nil, strings.Repeat(`{"a":`, 100_000), false},
		"100,000 brackets as body":   {binary(), strings.Repeat("[", 100_000), true},
		"invalid UTF-8":              {structured, bare("\"data\":\"\xc3\x28\""), false},
		"invalid UTF-8 as body":      {binary(), "{\"tenant_id\":\"\xc3\x28\"}", true},
		"base64 of the wrong type":   {structured, `{"data_base64":1,"specversion":"1.0","id":"1","source":"/s","type":"t"}`, false},
		"backslash at the end":       {structured, `{"a\`, false},
		"escape at the end":          {structured, `{"a":"\ud8`, false},
		"nil header values":          {header{"content-type": nil, "ce-id": nil}, "", false},
		"percent signs":              {binary("ce-subject", strings.Repeat("%", 1<<20)), "", false},
		"overlong UTF-8":             {binary("ce-subject", "%C0%80"), "", false},
		"surrogate in percent-coded": {binary("ce-subject", "%ED%A0%80"), "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			e, err := events.Decode(c.header, []byte(c.body))
			if c.readable != (err == nil) {
				t.Fatalf("readable: %t, want %t", err == nil, c.readable)
			}
			if err != nil {
				if !errors.Is(err, events.ErrUndecodable) {
					t.Errorf("%.300v", err)
				}
				checkShort(t, err)
				return
			}
			if _, err := events.RequestedFrom(e); err == nil {
				t.Error("it was read as a request")
			} else {
				checkShort(t, err)
			}
			checkRoundTrip(t, e)
		})
	}
}

// Invariant 7: NUL in a tenant id is valid JSON and rejected as an id.
func TestNULInTenantID(t *testing.T) {
	t.Parallel()
	e, err := events.Decode(structured, []byte(bare(`"data":{"tenant_id":"a\u0000b","display_name":"A","created_by":"me"}`)))
	if err != nil {
		t.Fatal(err)
	}
	r, err := events.RequestedFrom(e)
	if err != nil {
		t.Fatal(err)
	}
	var fault *events.RequestError
	if err := r.Validate(); !errors.As(err, &fault) || fault.Code != events.CauseInvalidTenantID || strings.Contains(err.Error(), "\x00") {
		t.Errorf("%#v", err)
	}
}
