package page

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
)

const (
	// chartMinutes is how many minutes the chart has, with the current one.
	chartMinutes = 60
	// settledAfter is how long ago a minute must have ended before its count is kept. The server stamps messages by its
	// own clock, which may be behind this one.
	settledAfter = time.Minute
	// countTries is how often a minute is counted again because outcomes arrived in between.
	countTries = 3
)

// minutes are the outcomes in each of the last minutes, as far as the stream still holds them.
type minutes struct {
	List []minute // oldest first; the last one is the current minute
	// Since is set if the stream has dropped outcomes of these minutes: it is the time of the first one left, or of the
	// count if none is left.
	Since time.Time
	// Incomplete is why minutes are not counted yet; nil: all are. The next read continues.
	Incomplete error

	stream holdings
	kept   []map[time.Time]uint64 // by subject, as in outcomeSubjects: counts of minutes that cannot change any more
}

// holdings are what shows that outcomes were deleted from the stream, also between others.
type holdings struct {
	created time.Time // a recreated stream has other outcomes
	first   uint64
	deleted int // between the first and the last message
}

// lost reports whether outcomes after the first one that is left may have been deleted since.
func (h holdings) lost(now holdings) bool {
	return !h.created.Equal(now.created) || h.deleted != now.deleted || now.deleted > 0 && h.first != now.first
}

// minute is one minute in the chart.
type minute struct {
	Start               time.Time
	Provisioned, Failed uint64
	Dropped             bool // the stream holds nothing that is as old
	Uncounted           bool // not counted yet
}

// outcomeSubjects are the subjects of outcomes, each counted for itself.
var outcomeSubjects = []string{events.TypeProvisioned, events.TypeProvisioningFailed}

// counter returns how many messages on a subject the stream holds since a time.
type counter func(ctx context.Context, subject string, since time.Time) (uint64, error)

// readMinutes counts the outcomes of each minute without reading them, by [count]. Counts of past minutes are kept, so
// only the first read counts all of them. On a timeout it returns what it has counted by then.
func (p *Page) readMinutes(ctx context.Context, js jetstream.JetStream, before minutes) (minutes, error) {
	stream, err := js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return minutes{}, fmt.Errorf("stream %s: %w", events.StreamEvents, err)
	}
	return countMinutes(ctx, stream.CachedInfo(), p.Now().UTC(), before,
		func(ctx context.Context, subject string, since time.Time) (uint64, error) {
			return count(ctx, js, subject, since)
		})
}

func countMinutes(
	ctx context.Context, stream *jetstream.StreamInfo, now time.Time, before minutes, count counter,
) (minutes, error) {
	state := stream.State
	m := minutes{stream: holdings{created: stream.Created, first: state.FirstSeq, deleted: state.NumDeleted}}
	current := now.Truncate(time.Minute)
	first := current.Add(-(chartMinutes - 1) * time.Minute)
	if state.FirstSeq > 1 && state.Msgs == 0 {
		m.Since = now
	} else if state.FirstSeq > 1 && state.FirstTime.After(first) {
		m.Since = state.FirstTime.UTC()
	}
	keep := before.kept != nil && !before.stream.lost(m.stream)
	counts := make([]map[time.Time]uint64, len(outcomeSubjects))
	var group errgroup.Group
	for i, subject := range outcomeSubjects {
		s := series{subject: subject, count: count, current: current, kept: map[time.Time]uint64{}}
		if keep {
			s.kept = maps.Clone(before.kept[i])
		}
		// A minute of which the stream has dropped a part can still lose the rest.
		maps.DeleteFunc(s.kept, func(start time.Time, _ uint64) bool { return start.Before(first) || start.Before(m.Since) })
		m.kept = append(m.kept, s.kept)
		group.Go(func() (err error) {
			counts[i], err = s.since(ctx, later(first, m.Since.Truncate(time.Minute)))
			return err
		})
	}
	m.Incomplete = explain(group.Wait())
	for i := range counts {
		if counts[i] == nil { // not even the current minute
			return minutes{}, fmt.Errorf("count in stream %s: %w", events.StreamEvents, m.Incomplete)
		}
	}
	for start := first; !start.After(current); start = start.Add(time.Minute) {
		one := minute{Start: start, Dropped: !m.Since.IsZero() && !start.Add(time.Minute).After(m.Since)}
		if !one.Dropped {
			var provisioned, failed bool
			one.Provisioned, provisioned = counts[0][start]
			one.Failed, failed = counts[1][start]
			one.Uncounted = !provisioned || !failed
		}
		m.List = append(m.List, one)
	}
	return m, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// series counts the outcomes on one subject.
type series struct {
	subject string
	count   counter
	current time.Time            // the start of the current minute
	kept    map[time.Time]uint64 // counts of minutes that cannot change any more
}

// since returns the counts of the minutes from the one that starts at first to the current one. After an error it
// returns those that it has, or nil.
func (s *series) since(ctx context.Context, first time.Time) (map[time.Time]uint64, error) {
	arrived, err := s.count(ctx, s.subject, s.current)
	if err != nil {
		return nil, err
	}
	counts := map[time.Time]uint64{s.current: arrived}
	newer := uint64(0) // in the minutes after this one, without the current one
	for start := s.current.Add(-time.Minute); !start.Before(first); start = start.Add(-time.Minute) {
		n, kept := s.kept[start]
		if !kept {
			var total uint64
			if total, arrived, err = s.closed(ctx, start, arrived); err != nil {
				return counts, err
			}
			n = total - min(total, newer) // what was removed in between must not count below 0
			if !s.current.Before(start.Add(time.Minute + settledAfter)) {
				s.kept[start] = n
			}
		}
		counts[start] = n
		newer += n
	}
	return counts, nil
}

// closed returns the number of outcomes from that time to the start of the current minute. The server counts to the end
// of the stream, so the outcomes of the current minute are subtracted: arrived, as last counted. If more have arrived
// since, closed counts again, at most countTries times; it can then miss those of the last try.
func (s *series) closed(ctx context.Context, from time.Time, arrived uint64) (total, now uint64, err error) {
	for range countTries {
		if total, err = s.count(ctx, s.subject, from); err != nil {
			return 0, 0, err
		}
		if now, err = s.count(ctx, s.subject, s.current); err != nil {
			return 0, 0, err
		}
		if now == arrived {
			break
		}
		arrived = now
	}
	return total - min(total, now), now, nil
}
