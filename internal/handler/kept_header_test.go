package handler

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// checkKept asserts that a kept header can be written, instructs neither server nor client, and restores the original.
func checkKept(t *testing.T, original nats.Header) {
	t.Helper()
	kept := keepHeader(original, false)
	for name, values := range kept {
		if !isWritable(name) || instructs(name) {
			t.Errorf("%q is kept as %q", original, name)
		}
		for _, value := range values {
			if changes(value) {
				t.Errorf("%q: the value %q would be changed", name, value)
			}
		}
	}
	if again := keepHeader(kept, true); !reflect.DeepEqual(again, kept) {
		t.Errorf("kept twice: %q, once: %q", again, kept)
	}
	restored := originalHeader(kept)
	if len(original) == 0 && len(restored) == 0 {
		return
	}
	if !reflect.DeepEqual(restored, original) {
		t.Errorf("restored %q, want %q", restored, original)
	}
}

func TestHeadersAreKeptReversibly(t *testing.T) {
	t.Parallel()
	var names []string
	for c := range 256 { // every byte that a name can hold
		if c != ':' && c != '\n' {
			names = append(names, "X"+string([]byte{byte(c)})+"Y", string([]byte{byte(c)}))
		}
	}
	names = append(names,
		"Status", "STATUS", "Description", "Nats-Rollup", "nats-ttl", "Nats-Expected-Stream", "Nats-Expected-Last-Sequence",
		"Nats-Expected-Last-Subject-Sequence", "Nats-Expected-Last-Msg-Id", "Nats-Schedule", "Nats-Schedule-Target",
		"Nats-Incr", "Nats-Batch-Id", "Nats-Batch-Commit", "Nats-Batch-Sequence", "Nats-Required-Api-Level", "Nats-Pin-Id",
		"Nats-Marker-Reason", "Nats-Trace-Dest", "Nats-Stream-Source", "Nats-Msg-Size", "Nats-",
		"Dead-Letter-Reason", "dead-letter-key", "Dead-Letter-", keptPrefix+"ce-id", keptPrefix, "100%", "%", "%4", "%41", "Content Type", "Ünï", "日本",
	)
	for _, name := range names {
		for _, value := range []string{"", "v", " v", "v ", "\tv", "a\rb", "50%", "%0A", "Zürich", "\xff"} {
			checkKept(t, nats.Header{name: {value, "second"}, "Content-Type": {"text/plain"}})
		}
	}
	kept := keepHeader(nats.Header{
		"Content Type": {"a"}, "Status": {"503"}, "Nats-TTL": {"1s"}, "Nats-Msg-Id": {"id"}, "X-Trace": {"stays"},
	}, false)
	want := nats.Header{
		"Dead-Letter-Header-Content%20Type": {"a"}, "Dead-Letter-Header-Status": {"503"}, "Dead-Letter-Header-Nats-TTL": {"1s"},
		"Nats-Msg-Id": {"id"}, "X-Trace": {"stays"},
	}
	testkit.Equal(t, "kept", fmt.Sprint(kept), fmt.Sprint(want))
	testkit.Equal(t, "names", strings.Join(keptNames(kept), "|"), "Content Type|Nats-TTL|Status")
}

func FuzzKeepHeader(f *testing.F) {
	f.Add("Content Type", "application/json")
	f.Add("Status", " 503\r\n")
	f.Fuzz(func(t *testing.T, name, value string) {
		if name == "" {
			return
		}
		checkKept(t, nats.Header{name: {value}})
	})
}

// isWritable must agree with the client library. Otherwise a dead letter could not be published, or a header would be
// kept under another name unnecessarily.
func TestWritableNamesAreThoseOfTheClient(t *testing.T) {
	b := newBundle(t)
	for c := range 256 {
		name := "X" + string([]byte{byte(c)})
		msg := &nats.Msg{Subject: events.TypeRequested + ".none", Header: nats.Header{name: {"v"}}}
		testkit.Equal(t, fmt.Sprintf("%q is writable", name), isWritable(name), b.config.Conn.PublishMsg(msg) == nil)
	}
}
