package page

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// simulated is a stream of outcomes with times that a test chooses.
type simulated struct {
	jetstream.StreamInfo
	mu       sync.Mutex // both subjects are counted at the same time
	messages []simulatedMessage
	counted  map[string]int              // queries by subject
	before   func(subject string, n int) // is called before each query on the subject
	fail     map[int]error               // by query on a subject
}

type simulatedMessage struct {
	subject string
	at      time.Time
	deleted bool
}

func (s *simulated) publish(subject string, at time.Time) {
	s.messages = append(s.messages, simulatedMessage{subject: subject, at: at})
}

func (s *simulated) count(_ context.Context, subject string, since time.Time) (n uint64, _ error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.counted[subject]++
	if s.before != nil {
		s.before(subject, s.counted[subject])
	}
	for _, m := range s.messages {
		if !m.deleted && m.subject == subject && !m.at.Before(since) {
			n++
		}
	}
	return n, s.fail[s.counted[subject]]
}

// queries returns the number of queries since it was last called.
func (s *simulated) queries() (n int) {
	for _, of := range s.counted {
		n += of
	}
	clear(s.counted)
	return n
}

// info returns the state that a server reports.
func (s *simulated) info() *jetstream.StreamInfo {
	info := jetstream.StreamInfo{Created: s.Created}
	info.State.LastSeq = uint64(len(s.messages))
	info.State.FirstSeq = info.State.LastSeq + 1
	for i, m := range s.messages {
		switch {
		case m.deleted && info.State.Msgs > 0:
			info.State.NumDeleted++
		case !m.deleted:
			if info.State.Msgs++; info.State.Msgs == 1 {
				info.State.FirstSeq, info.State.FirstTime = uint64(i+1), m.at
			}
		}
	}
	return &info
}

// read counts the outcomes of each minute.
func (s *simulated) read(t *testing.T, now time.Time, before minutes) minutes {
	t.Helper()
	m, err := countMinutes(t.Context(), s.info(), now, before, s.count)
	testkit.Must(t, err)
	return m
}

// figures formats the minutes that are not 0.
func figures(m minutes) string {
	var all []string
	for i, one := range m.List {
		switch {
		case one.Dropped:
			all = append(all, fmt.Sprintf("%d:dropped", i))
		case one.Uncounted:
			all = append(all, fmt.Sprintf("%d:uncounted", i))
		case one.Provisioned+one.Failed > 0:
			all = append(all, fmt.Sprintf("%d:%d+%d", i, one.Provisioned, one.Failed))
		}
	}
	return strings.Join(all, " ")
}

var chartNow = time.Date(2026, 1, 2, 3, 4, 30, 0, time.UTC)

// ago is the middle of the minute that began so many minutes before the current one.
func ago(n int) time.Time { return chartNow.Add(-time.Duration(n) * time.Minute) }

func newSimulated() *simulated {
	s := &simulated{counted: map[string]int{}}
	for _, m := range []struct {
		ago, provisioned, failed int
	}{{70, 9, 9}, {59, 3, 0}, {30, 0, 2}, {5, 4, 1}, {3, 2, 0}, {1, 1, 0}, {0, 2, 1}} {
		for range m.provisioned {
			s.publish(events.TypeProvisioned, ago(m.ago))
		}
		for range m.failed {
			s.publish(events.TypeProvisioningFailed, ago(m.ago))
		}
	}
	return s
}

func TestMinutesAreCounted(t *testing.T) {
	t.Parallel()
	s := newSimulated()
	m := s.read(t, chartNow, minutes{})
	testkit.Equal(t, "minutes", figures(m), "0:3+0 29:0+2 54:4+1 56:2+0 58:1+0 59:2+1")
	testkit.Equal(t, "the first minute", m.List[0].Start, ago(59).Truncate(time.Minute))
	testkit.Equal(t, "since", m.Since, time.Time{})
	testkit.Equal(t, "queries of the first read", s.queries(), 2*(1+2*(chartMinutes-1)))

	// Minutes that have ended are not counted again, however often the page is read, except the latest.
	m = s.read(t, chartNow.Add(3*time.Second), m)
	testkit.Equal(t, "queries of the second read", s.queries(), 2*(1+2))
	testkit.Equal(t, "minutes", figures(m), "0:3+0 29:0+2 54:4+1 56:2+0 58:1+0 59:2+1")

	// A minute later the oldest has left, and the current one is the last but one. An outcome that the server stamped
	// by a clock that is behind is not lost.
	s.publish(events.TypeProvisioned, ago(1))
	m = s.read(t, chartNow.Add(time.Minute), m)
	testkit.Equal(t, "minutes a minute later", figures(m), "28:0+2 53:4+1 55:2+0 57:2+0 58:2+1")
	testkit.Equal(t, "queries a minute later", s.queries(), 2*(1+2*2))
}

// Outcomes that arrive while minutes are counted belong to the current minute.
func TestMinutesAreExactWhileOutcomesArrive(t *testing.T) {
	t.Parallel()
	s := newSimulated()
	s.before = func(subject string, n int) {
		if n%7 == 0 {
			s.publish(subject, ago(0))
		}
	}
	var m minutes
	for range 3 {
		m = s.read(t, chartNow, m)
		if got, want := figures(m), "0:3+0 29:0+2 54:4+1 56:2+0 58:1+0 59:"; !strings.HasPrefix(got, want) {
			t.Errorf("minutes: %s, want %s…", got, want)
		}
	}
	// If more arrive at each query, the number of queries stays bounded and no count is negative.
	s.before = func(subject string, _ int) { s.publish(subject, ago(0)) }
	s.queries()
	m = s.read(t, chartNow, minutes{})
	testkit.Equal(t, "queries", s.queries(), 2*(1+2*countTries*(chartMinutes-1)))
	for _, one := range m.List[:chartMinutes-1] {
		if one.Provisioned+one.Failed > 5+1 { // 5 is the most of a minute
			t.Errorf("minute %s: %+v", hour(one.Start), one)
		}
	}
}

// Whatever is removed from the stream is not counted any more, also in minutes whose counts were kept.
func TestMinutesAfterRemovals(t *testing.T) {
	t.Parallel()
	remove := func(s *simulated, which func(m simulatedMessage) bool) {
		for i, m := range s.messages {
			s.messages[i].deleted = m.deleted || which(m)
		}
	}
	between := func(oldest, newest int) func(m simulatedMessage) bool {
		return func(m simulatedMessage) bool { return !m.at.Before(ago(oldest)) && !m.at.After(ago(newest)) }
	}
	dropped := func(n int) (all string) {
		for i := range n {
			all += fmt.Sprintf("%d:dropped ", i)
		}
		return all
	}
	for name, c := range map[string]struct {
		remove []func(m simulatedMessage) bool // one after each read
		want   string
		since  time.Time
	}{
		"one minute":                   {[]func(simulatedMessage) bool{between(5, 5)}, "0:3+0 29:0+2 56:2+0 58:1+0 59:2+1", time.Time{}},
		"one subject":                  {[]func(simulatedMessage) bool{func(m simulatedMessage) bool { return m.subject == events.TypeProvisioningFailed }}, "0:3+0 54:4+0 56:2+0 58:1+0 59:2+0", time.Time{}},
		"the oldest":                   {[]func(simulatedMessage) bool{between(70, 10)}, dropped(54) + "54:4+1 56:2+0 58:1+0 59:2+1", ago(5)},
		"what is older than the chart": {[]func(simulatedMessage) bool{between(70, 60)}, "0:3+0 29:0+2 54:4+1 56:2+0 58:1+0 59:2+1", ago(59)},
		"everything":                   {[]func(simulatedMessage) bool{between(70, 0)}, strings.TrimSpace(dropped(59)), chartNow},
		// The number of deleted messages between others is the same after the second removal.
		"one minute, then another with the oldest": {[]func(simulatedMessage) bool{
			between(30, 30), func(m simulatedMessage) bool { return m.at.Before(ago(20)) || m.at.Equal(ago(3)) },
		}, dropped(54) + "54:4+1 58:1+0 59:2+1", ago(5)},
	} {
		s := newSimulated()
		m := s.read(t, chartNow, minutes{})
		for _, which := range c.remove {
			remove(s, which)
			m = s.read(t, chartNow, m)
		}
		testkit.Equal(t, name, figures(m), c.want)
		testkit.Equal(t, name+": since", m.Since, c.since)
		testkit.Equal(t, name+": counted afresh", figures(s.read(t, chartNow, minutes{})), c.want)
	}

	// A recreated stream has other outcomes.
	s := newSimulated()
	m := s.read(t, chartNow, minutes{})
	other := &simulated{counted: map[string]int{}}
	other.Created = chartNow
	other.publish(events.TypeProvisioned, ago(3))
	testkit.Equal(t, "recreated", figures(other.read(t, chartNow, m)), "56:1+0")
}

// What cannot be counted in time is counted by the next read.
func TestMinutesContinueAfterATimeout(t *testing.T) {
	t.Parallel()
	s := newSimulated()
	s.fail = map[int]error{60: context.DeadlineExceeded}
	m := minutes{}
	var reads int
	for reads = 1; reads < 100; reads++ {
		s.queries()
		m = s.read(t, chartNow, m)
		if m.Incomplete == nil {
			break
		}
		if !errors.Is(m.Incomplete, errNoAnswer) || m.Uncounted() == 0 {
			t.Fatalf("incomplete: %v, %d minutes", m.Incomplete, m.Uncounted())
		}
	}
	testkit.Equal(t, "minutes", figures(m), "0:3+0 29:0+2 54:4+1 56:2+0 58:1+0 59:2+1")
	if reads < 2 {
		t.Errorf("%d reads", reads)
	}
	s.queries()
	s.fail = map[int]error{1: context.DeadlineExceeded}
	if _, err := countMinutes(t.Context(), s.info(), chartNow, m, s.count); err == nil {
		t.Error("no error although nothing was counted")
	}
}

// The chart has as many outcomes as the stream, whatever was removed from it, in every replica and after a restart.
func TestChartHasWhatTheStreamHolds(t *testing.T) {
	b := newConnected(t)
	stream, err := b.js.Stream(t.Context(), events.StreamEvents)
	testkit.Must(t, err)
	check := func(what string) (html string) {
		t.Helper()
		html = b.html()
		info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
		testkit.Must(t, err)
		other, err := New(b.Config) // as after a restart
		testkit.Must(t, err)
		other.timeout = b.timeout
		other.Connect(b.js)
		defer other.Close()
		other.readAll(t.Context())
		for who, p := range map[string]*Page{"the page": b.Page, "another replica": other} {
			var provisioned, failed uint64
			for _, one := range p.minutes.last.Value.List {
				provisioned, failed = provisioned+one.Provisioned, failed+one.Failed
			}
			testkit.Must(t, p.minutes.last.Value.Incomplete)
			testkit.Equal(t, what+": provisioned of "+who, provisioned, info.State.Subjects[events.TypeProvisioned])
			testkit.Equal(t, what+": failed of "+who, failed, info.State.Subjects[events.TypeProvisioningFailed])
		}
		testkit.Contains(t, "the page", html,
			fmt.Sprintf(`<b class="good">✓ provisioned</b> %d`, info.State.Subjects[events.TypeProvisioned]),
			fmt.Sprintf(`<b class="bad">✗ failed</b> %d`, info.State.Subjects[events.TypeProvisioningFailed]))
		return html
	}
	testkit.Lacks(t, "the page", check("empty"), "at most", "not in the stream any more")
	var sequences []uint64
	for i := range 20 {
		sequences = append(sequences, b.publishSuccess(fmt.Sprint("tenant", i), nil))
		if i%4 == 0 {
			b.publishFailure(fmt.Sprint("failed", i), events.CauseTenantExists, "")
		}
	}
	check("published")
	b.pass(10 * time.Minute) // their minutes have ended, and are kept
	html := check("later")
	testkit.Contains(t, "the page", html, `<rect class="good"`, `<rect class="bad"`, "provisioned</title>")
	testkit.Must(t, stream.DeleteMsg(t.Context(), sequences[7]))
	testkit.Must(t, stream.DeleteMsg(t.Context(), sequences[8]))
	check("two deleted")
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeSubject(events.TypeProvisioningFailed)))
	check("failures purged")
	testkit.Must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(sequences[5])))
	testkit.Contains(t, "the page", check("the oldest purged"), "The stream holds only outcomes since")
	b.publishFailure("more", events.CauseTenantExists, "")
	check("published again")

	config := stream.CachedInfo().Config
	config.MaxAge, config.Duplicates = 2*time.Second, time.Second
	_, err = b.js.UpdateStream(t.Context(), config)
	testkit.Must(t, err)
	testkit.Eventually(t, "the outcomes expire", func() bool {
		info, err := stream.Info(t.Context())
		return err == nil && info.State.Msgs == 0
	})
	testkit.Contains(t, "the page", check("expired"), "not in the stream any more", "The stream holds only outcomes since")
}
