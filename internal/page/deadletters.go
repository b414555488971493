package page

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	maxDeadLetters = 2000 // maximum number of dead letters that are read
	maxCauses      = 12   // maximum number of causes shown; any client that may publish can add one
)

// deadLetters are the dead letters by cause, most frequent first.
type deadLetters struct {
	Total  uint64
	Causes []cause
	Others cause // all further causes
	Read   int   // if less than Total, the counts are minimums

	created time.Time // of the stream
	state   jetstream.StreamState
}

// cause is a cause of failure and the dead letters that have it.
type cause struct {
	Reason string // from the header: untrusted, to be escaped and truncated
	Count  int
	Oldest time.Time
}

// safeReason matches a reason that may be part of a displayed command; every cause code of this service does.
var safeReason = regexp.MustCompile(`^[A-Z][A-Z_]{0,39}$`)

// ShellSafe reports whether the reason can be copied into a shell.
func (c cause) ShellSafe() bool { return safeReason.MatchString(c.Reason) }

// Partial reports whether the stream holds more dead letters than were read.
func (l deadLetters) Partial() bool { return uint64(l.Read) < l.Total } //nolint:gosec // not negative

func (c *cause) add(at time.Time, n int) {
	if c.Oldest.IsZero() || at.Before(c.Oldest) {
		c.Oldest = at
	}
	c.Count += n
}

// readDeadLetters reads the oldest dead letters, unless the stream is unchanged since the last read. On a timeout it
// returns what it has read by then.
func readDeadLetters(ctx context.Context, js jetstream.JetStream, before deadLetters) (deadLetters, error) {
	stream, err := js.Stream(ctx, events.StreamDeadLetters)
	if err != nil {
		return deadLetters{}, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, err)
	}
	info := stream.CachedInfo()
	current := deadLetters{Total: info.State.Msgs, created: info.Created, state: info.State}
	if current.Total == 0 {
		return current, nil
	}
	if before.same(current) {
		return before, nil
	}
	all, err := handler.OpenDeadLetters(ctx, js)
	if err != nil {
		return deadLetters{}, err
	}
	found := map[string]*cause{}
	for letter, err := range all.All(ctx, handler.Filter{}) {
		if err != nil && current.Read == 0 {
			return deadLetters{}, err
		}
		if err != nil {
			break
		}
		c := found[letter.Reason]
		if c == nil {
			c = &cause{Reason: letter.Reason}
			found[letter.Reason] = c
		}
		c.add(letter.Time, 1)
		if current.Read++; current.Read == maxDeadLetters {
			break
		}
	}
	current.Total = max(current.Total, uint64(current.Read)) //nolint:gosec // not negative
	current.sum(found)
	return current, nil
}

// same reports whether all of the stream was read and the stream is unchanged since then.
func (l deadLetters) same(current deadLetters) bool {
	a, b := l.state, current.state
	return l.Read > 0 && (!l.Partial() || l.Read == maxDeadLetters) && l.created.Equal(current.created) &&
		a.Msgs == b.Msgs && a.FirstSeq == b.FirstSeq && a.LastSeq == b.LastSeq && a.NumDeleted == b.NumDeleted
}

func (l *deadLetters) sum(found map[string]*cause) {
	for _, c := range found {
		l.Causes = append(l.Causes, *c)
	}
	slices.SortFunc(l.Causes, func(a, b cause) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason))
	})
	if len(l.Causes) <= maxCauses {
		return
	}
	for _, c := range l.Causes[maxCauses:] {
		l.Others.add(c.Oldest, c.Count)
	}
	l.Causes = l.Causes[:maxCauses]
}
