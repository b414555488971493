package handler

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// letters opens the stream of dead letters.
func (b *bundle) letters() *DeadLetters {
	b.t.Helper()
	l, err := OpenDeadLetters(b.t.Context(), b.js)
	testkit.Must(b.t, err)
	return l
}

// list returns the dead letters that match.
func (b *bundle) list(f Filter) (all []DeadLetter) {
	b.t.Helper()
	for letter, err := range b.letters().All(b.t.Context(), f) {
		testkit.Must(b.t, err)
		all = append(all, letter)
	}
	return all
}

// plant publishes a message to the stream of dead letters, as another client may.
func (b *bundle) plant(key string, header nats.Header, body string) uint64 {
	b.t.Helper()
	return b.publish(&nats.Msg{Subject: events.DeadLetterSubject(key), Header: header, Data: []byte(body)})
}

func keys(all []DeadLetter) string {
	var list []string
	for _, l := range all {
		list = append(list, l.Key)
	}
	return strings.Join(list, " ")
}

func TestDeadLetterIsReadFromItsHeaders(t *testing.T) {
	b := newBundle(t)
	b.start()
	msg := b.request("order", "not an id\n")
	msg.Header["X-Trace"] = []string{"one"}
	begin := time.Now()
	sequence := b.publish(msg)
	b.awaitSettled()
	all := b.list(Filter{})
	testkit.Equal(t, "dead letters", len(all), 1)
	l := all[0]
	testkit.Equal(t, "key", l.Key, events.RequestKey(billing, "order"))
	testkit.Equal(t, "sequence", l.Sequence, b.deadLetter().Sequence)
	testkit.Equal(t, "reason, step, tenant", fmt.Sprint(l.Reason, " ", l.Step, " ", l.Tenant), `INVALID_TENANT_ID validate_request not an id\n`)
	testkit.Equal(t, "attempts and replay", fmt.Sprint(l.Attempts, l.Replay), "1 0")
	testkit.Equal(t, "original", fmt.Sprint(l.Subject, l.Stream, l.OriginalSequence), fmt.Sprint("tenant.requested", "TENANT_REQUESTS", sequence))
	testkit.Equal(t, "size", l.Size, len(msg.Data))
	testkit.Equal(t, "omitted", l.Omitted, false)
	testkit.Equal(t, "the original's header", l.Header.Get("X-Trace"), "one")
	if l.Time.Before(begin.Add(-time.Second)) || l.Time.After(time.Now().Add(time.Second)) {
		t.Errorf("time: %s", l.Time)
	}
	original, err := b.letters().Original(t.Context(), l)
	testkit.Must(t, err)
	testkit.Equal(t, "body", string(original.Data), string(msg.Data))
	testkit.Equal(t, "header", fmt.Sprint(original.Header), fmt.Sprint(msg.Header))
}

// A read returns all dead letters, however many, except those stored after it began.
func TestDeadLettersAreReadInPages(t *testing.T) {
	b := newBundle(t)
	const n = 2*pageSize + 10
	for i := range n {
		b.plant(fmt.Sprintf("key%06d", i), nil, "x")
	}
	// Gaps, also at the ends of pages.
	for _, sequence := range []uint64{1, pageSize, pageSize + 1, n} {
		testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), sequence))
	}
	read := 0
	for letter, err := range b.letters().All(t.Context(), Filter{}) {
		testkit.Must(t, err)
		if read == 0 {
			testkit.Equal(t, "first", letter.Key, "key000001")
			b.plant("later", nil, "")
			// One that is not on this page.
			testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), n-1))
		}
		read++
	}
	testkit.Equal(t, "dead letters", read, n-5)
	for range b.letters().All(t.Context(), Filter{}) {
		break // a caller may stop early
	}
	testkit.Equal(t, "consumers left", b.streamOf(events.StreamDeadLetters).CachedInfo().State.Consumers, 0)
}

func TestEmptyStreamOfDeadLetters(t *testing.T) {
	b := newBundle(t)
	testkit.Equal(t, "dead letters", len(b.list(Filter{})), 0)
	sequence := b.plant("gone", nil, "")
	testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), sequence))
	b.eventually("a read of an empty stream does not wait", func() bool { // a wait would occur each time
		begin := time.Now()
		testkit.Equal(t, "dead letters", len(b.list(Filter{})), 0)
		return time.Since(begin) < pageTimeout
	})
	_, err := b.letters().Find(t.Context(), "abcdef")
	if !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("Find: %v", err)
	}
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamDeadLetters))
	_, err = OpenDeadLetters(t.Context(), b.js)
	Contains(t, "a missing stream", err, "run the service once")
}

func TestFilter(t *testing.T) {
	b := newBundle(t)
	now := time.Now().UTC().Truncate(time.Second)
	add := func(key, reason, tenant string, age time.Duration) {
		b.plant(key, nats.Header{
			"Dead-Letter-Reason": {reason}, "Dead-Letter-Tenant": {tenant},
			"Dead-Letter-Time": {now.Add(-age).Format(time.RFC3339Nano)},
		}, "")
	}
	add("a", "TENANT_EXISTS", "acme", time.Hour)
	add("b", "TENANT_EXISTS", "umbrella", 0)
	add("c", "PERMISSION_DENIED", "acme", 0)
	add("d", "UNDECODABLE_EVENT", "", 2*time.Hour)
	add("e", "INVALID_TENANT_ID", headerText("Zürich\n"+strings.Repeat("x", 2000)), time.Hour)
	b.plant("f", nil, "of another client")
	b.plant("g", nats.Header{"Dead-Letter-Time": {"yesterday"}, "Dead-Letter-Attempts": {"-1"}, "Dead-Letter-Replay": {"x"}}, "")
	for name, c := range map[string]struct {
		filter Filter
		want   string
	}{
		"all":              {Filter{}, "a b c d e f g"},
		"reason":           {Filter{Reasons: []string{"TENANT_EXISTS"}}, "a b"},
		"reasons":          {Filter{Reasons: []string{"TENANT_EXISTS", "PERMISSION_DENIED"}}, "a b c"},
		"tenant":           {Filter{Tenants: []string{"acme"}}, "a c"},
		"no tenant":        {Filter{Tenants: []string{""}}, "d f g"},
		"a tenant escaped": {Filter{Tenants: []string{"Zürich\n" + strings.Repeat("x", 2000)}}, "e"},
		"both":             {Filter{Reasons: []string{"TENANT_EXISTS"}, Tenants: []string{"acme", "other"}}, "a"},
		"since, inclusive": {Filter{Since: now.Add(-time.Hour)}, "a b c e f g"},
		"since now":        {Filter{Since: now}, "b c f g"},
		"all three":        {Filter{Reasons: []string{"TENANT_EXISTS"}, Tenants: []string{"acme"}, Since: now}, ""},
		"in other case":    {Filter{Reasons: []string{"tenant_exists"}}, ""},
	} {
		testkit.Equal(t, name, keys(b.list(c.filter)), c.want)
	}
}

func TestFind(t *testing.T) {
	b := newBundle(t)
	one, two := strings.Repeat("ab", 32), "abababab"+strings.Repeat("0", 56)
	for _, key := range []string{one, two, "short", "two.tokens"} {
		b.plant(key, nil, "")
	}
	for name, want := range map[string]string{
		one:                              one,
		"tenant.dead_letter." + two:      two,
		one[:9]:                          one,
		two[:9]:                          two,
		"tenant.dead_letter." + two[:12]: two,
		"short":                          "short",
		"two.tokens":                     "two.tokens",
		"two.to":                         "two.tokens",
	} {
		letter, err := b.letters().Find(t.Context(), name)
		testkit.Must(t, err)
		testkit.Equal(t, name, letter.Key, want)
	}
	for name, want := range map[string]string{
		"abababab":               "alone", // both
		"ababa":                  "at least 6 characters",
		"cdcdcd":                 "dead-letters list",
		strings.Repeat("cd", 32): "dead-letters list",
		one + "0":                "dead-letters list",
		"ABABAB":                 "dead-letters list",
		"":                       "give a key",
		"*":                      "give a key",
		">":                      "give a key",
		"tenant.dead_letter.>":   "give a key",
		"two..tokens":            "give a key",
		"a key":                  "give a key",
		"line\nbreak":            "give a key",
	} {
		_, err := b.letters().Find(t.Context(), name)
		if !errors.Is(err, ErrNoDeadLetter) {
			t.Errorf("%q: %v", name, err)
		}
		Contains(t, name, err, want)
	}
}

// Short keys cost one list of all keys for a command, not a scan of all dead letters for each.
func TestShortKeysAreListedOnce(t *testing.T) {
	b := newBundle(t)
	var keys []string
	for i := range 20 {
		keys = append(keys, fmt.Sprintf("%064x", sha256.Sum256([]byte{byte(i)})))
		b.plant(keys[i], nil, "")
	}
	letters := b.letters()
	requests, err := b.js.Conn().SubscribeSync("$JS.EVENT.ADVISORY.API")
	testkit.Must(t, err)
	testkit.Must(t, b.js.Conn().Flush())
	for _, key := range keys {
		letter, err := letters.Find(t.Context(), key[:12])
		testkit.Must(t, err)
		testkit.Equal(t, "key", letter.Key, key)
	}
	_, err = b.js.AccountInfo(t.Context()) // its advisory is the last
	testkit.Must(t, err)
	for lists := 0; ; {
		msg, err := requests.NextMsg(testkit.Patience)
		testkit.Must(t, err)
		if lists += bytes.Count(msg.Data, []byte("subjects_filter")); bytes.Contains(msg.Data, []byte(`"$JS.API.INFO"`)) {
			testkit.Equal(t, "lists", lists, 1)
			return
		}
	}
}

// The sequence selects the dead letter: a newer one of the same request stays.
func TestRemove(t *testing.T) {
	b := newBundle(t)
	b.plant("key", nil, "old")
	old, err := b.letters().Find(t.Context(), "key")
	testkit.Must(t, err)
	b.plant("key", nil, "new")
	gone, err := b.letters().Remove(t.Context(), old)
	testkit.Must(t, err)
	testkit.Equal(t, "the old one no longer existed", gone, true)
	testkit.Equal(t, "stored", string(b.deadLetter().Data), "new")

	fresh, err := b.letters().Find(t.Context(), "key")
	testkit.Must(t, err)
	for _, again := range []bool{false, true} {
		gone, err := b.letters().Remove(t.Context(), fresh)
		testkit.Must(t, err)
		testkit.Equal(t, "no longer existed", gone, again)
	}
	b.counts(0, 0)
}

// If the operator protects the stream, the error names the cause.
func TestRemoveThatIsNotPermitted(t *testing.T) {
	b := newBundle(t)
	testkit.Must(t, b.js.DeleteStream(t.Context(), events.StreamDeadLetters))
	config := b.config.Topology.streams()[2]
	config.DenyDelete = true
	_, err := b.js.CreateStream(t.Context(), config)
	testkit.Must(t, err)
	b.plant("key", nil, "")
	letter, err := b.letters().Find(t.Context(), "key")
	testkit.Must(t, err)
	_, err = b.letters().Remove(t.Context(), letter)
	Contains(t, "its error", err, "remove message 1 of stream TENANT_DEAD_LETTERS", "not permitted")
}
