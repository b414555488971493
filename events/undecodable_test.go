package events_test

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"testing/quick"
	"time"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/events"
)

// Invariant 8. The key is the output of:
//
//	printf '\0undecodable\n15\nTENANT_REQUESTS\n17\n2026-03-04T12:00:00.25Z\nplease' | sha256sum
//
// and the ids are uuid5(uuid5(NAMESPACE_URL, "tenant-provisioner/outcome"), name), by Python's module uuid.
func TestUndecodableKeyIsStable(t *testing.T) {
	t.Parallel()
	const want = "8bc397696b67a785428c2d4726c9ecdcea1ac26f1c8d2dfdb192ce4e7edcb5f6"
	for _, zone := range []*time.Location{time.UTC, time.FixedZone("", 7200), time.FixedZone("", -3600)} {
		if got := events.UndecodableKey(events.StreamRequests, 17, noon.In(zone), []byte("please")); got != want {
			t.Errorf("%s", got)
		}
	}
	for replay, want := range []string{"769c1efa-db79-5903-a3b2-74a0022ec2b3", "bb24a1ec-5910-549e-ac14-9c457ed7cced"} {
		got := events.UndecodableOutcomeID("8bc397696b67a785428c2d4726c9ecdcea1ac26f1c8d2dfdb192ce4e7edcb5f6", replay)
		if got != want {
			t.Errorf("replay %d: %s", replay, got)
		}
		if id, err := uuid.Parse(got); err != nil || id.Version() != 5 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%s is not a UUIDv5: %v", got, err)
		}
	}
}

// Each part of a stored message changes the key, and no part can be moved into the next.
func TestUndecodableKeysDiffer(t *testing.T) {
	t.Parallel()
	type message struct {
		stream   string
		sequence uint64
		stored   time.Time
		body     string
	}
	of := func(m message) string { return events.UndecodableKey(m.stream, m.sequence, m.stored, []byte(m.body)) }
	messages := []message{
		{"S", 1, noon, ""},
		{"S", 1, noon, "x"},
		{"S", 1, noon, "x\n"},
		{"S", 1, noon, "\nx"},
		{"S", 11, noon, "x"},
		{"S", 1, noon.Add(time.Nanosecond), "x"},
		{"S", 1, noon.Add(-time.Nanosecond), "x"},
		{"s", 1, noon, "x"},
		{"S\n1", 1, noon, "x"},
		{"S", 1, noon, "1\nS\n1\n2026-03-04T12:00:00.25Z\nx"},
		{"S\n1\n2026-03-04T12:00:00.25Z\nS", 1, noon, "x"},
		{"S\n1", 2, noon, "\n2026-03-04T12:00:00.25Z\nx"},
		{"", 1, noon, "x"},
		{"", 1, noon, ""},
		{"\n1", 1, noon, ""},
	}
	seen := map[string]message{}
	for _, m := range messages {
		if other, there := seen[of(m)]; there {
			t.Errorf("%+v and %+v have one key", m, other)
		}
		seen[of(m)] = m
	}
	differ := func(a, b string, n, m uint64, s, q int64, x, y string) bool {
		one, other := message{a, n, time.Unix(0, s).UTC(), x}, message{b, m, time.Unix(0, q).UTC(), y}
		return (one == other) == (of(one) == of(other))
	}
	if err := quick.Check(differ, nil); err != nil {
		t.Error(err)
	}
}

// checkNoCollision checks the last sentence of invariant 8. Keys and outcome ids are hashes of a text. The text of a
// request begins with its source, that of an undecodable message with NUL (TestUndecodableKeyIsStable), so it is enough
// that no source begins with NUL.
func checkNoCollision(t *testing.T, source string) {
	t.Helper()
	if source == "" || source[0] < ' ' {
		t.Errorf("source %q was accepted", source)
	}
}

type spelling struct {
	header header
	body   string
}

// spellings returns the ways to write a source and an id, including invalid ones.
func spellings(t *testing.T, source, id string) []spelling {
	t.Helper()
	text := func(s string) string {
		b, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	const structured = `{"specversion":"1.0","type":"tenant.requested","source":%s,"id":%s}`
	inBinary := func(source, id string) header {
		return header{"ce-specversion": {"1.0"}, "ce-type": {"tenant.requested"}, "ce-source": {source}, "ce-id": {id}}
	}
	return []spelling{
		{nil, fmt.Sprintf(structured, text(source), text(id))},
		{nil, fmt.Sprintf(structured, `"`+source+`"`, `"`+id+`"`)},
		{inBinary(source, id), ""},
		{inBinary(url.PathEscape(source), url.PathEscape(id)), ""},
	}
}

// Invariant 8: the forms that a publisher may try.
func TestNoSourceHasTheKeyOfAnUndecodableMessage(t *testing.T) {
	t.Parallel()
	stored := noon.Format(time.RFC3339Nano)
	rest := "undecodable\n15\nTENANT_REQUESTS\n17\n" + stored
	key := events.UndecodableKey(events.StreamRequests, 17, noon, []byte("please"))
	ids := map[string]bool{}
	for replay := range 3 {
		ids[events.UndecodableOutcomeID(key, replay)] = true
	}
	for _, source := range []string{
		events.StreamRequests, strings.ToLower(events.StreamRequests), "\x00undecodable", "\x00" + rest, "\x00" + strings.TrimSuffix(rest, "\n"+stored),
		"undecodable", rest, `\u0000undecodable`, "%00undecodable", "%2500undecodable", "\uFEFF\x00undecodable", "", " \x00undecodable",
		"\x00undecodable\n" + key,
	} {
		for _, id := range []string{"17", "please", "17\n" + stored + "\nplease", stored + "\nplease", key, key + "\n0", "0"} {
			for _, c := range spellings(t, source, id) {
				e, err := events.Decode(c.header, []byte(c.body))
				if err != nil {
					continue
				}
				checkNoCollision(t, e.Source())
				if events.RequestKey(e.Source(), e.ID()) == key {
					t.Errorf("source %q and id %q have the key of an undecodable message", e.Source(), e.ID())
				}
				for replay := range 3 {
					if ids[events.OutcomeID(e.Source(), e.ID(), replay, events.TypeProvisioningFailed)] {
						t.Errorf("source %q and id %q have the outcome id of an undecodable message", e.Source(), e.ID())
					}
				}
			}
		}
	}
}

// Invariant 8, last sentence.
func FuzzSourceHasNoKeyOfAnUndecodableMessage(f *testing.F) {
	f.Add("/billing", "1")
	f.Add("\x00undecodable\n15\nTENANT_REQUESTS", "17\n2026-03-04T12:00:00.25Z\nplease")
	f.Add("%00undecodable", "1")
	f.Add(`\u0000undecodable`, "1")
	f.Fuzz(func(t *testing.T, source, id string) {
		for _, c := range spellings(t, source, id) {
			if e, err := events.Decode(c.header, []byte(c.body)); err == nil {
				checkNoCollision(t, e.Source())
			}
		}
	})
}
