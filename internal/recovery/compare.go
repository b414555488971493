package recovery

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
)

const (
	// compareReaders is how many messages are requested at a time.
	compareReaders = 8
	// readBudget is how long outcomes are read; those that are earlier are not compared then.
	readBudget = 3 * time.Second
)

// Comparison is the result of [Comparer.Compare].
type Comparison struct {
	Findings []Finding // at most [Comparer.Most] of each kind
	Partial  bool      // the ledger, or TENANT_EVENTS, has more than was read

	Outcomes   int    // rows of the ledger whose outcome was looked for in TENANT_EVENTS
	Failures   int    // rows of failed requests that were read
	Running    int    // rows of running requests that were read
	Boundaries int    // boundaries that were compared with the registry
	Stored     uint64 // outcomes that TENANT_EVENTS has
	// Undecided is the number of rows that seem to be at odds with the streams, and whose request may be pending: more
	// requests than the limit follow the oldest one that is not settled.
	Undecided int
}

// Comparer is a [Reconciler.Plan] for a quick look: it finds what the ledger has and the streams lack, and boundaries
// without a tenant. Of the ledger it reads the running requests and those that changed last, of the streams the newest
// messages; of the registry and the names of boundaries all.
//
// It reads messages by requests of their own, not by consumers: it leaves nothing on the server, and needs no
// permission to create something there.
//
// Beside a running service it reports nothing that is on its way, for the reasons that readState has. What seems to be
// missing counts only if no message above the floor, which was read first, is of the request.
type Comparer struct {
	Config    config.Config
	JetStream jetstream.JetStream
	Database  database.Reader
	Now       time.Time
	Limit     int // of the rows of the ledger, and of the messages of each stream
	Most      int // of the findings of each kind
}

// Compare compares and changes nothing. Its error is [sql.ErrNoLedger] if the service has yet to create the ledger.
func (c Comparer) Compare(ctx context.Context) (result Comparison, err error) {
	js, db := c.JetStream, c.Database
	s := &state{now: c.Now, tenants: newTenantIndex(), outcomes: newOutcomeIndex()}
	if s.locate, err = database.BoundaryNames(c.Config); err != nil {
		return result, err
	}
	if s.requests, err = readConsumer(ctx, js, c.Config.AckWait); err != nil {
		return result, err
	}
	if s.boundaries, err = namedBoundaries(ctx, db); err != nil {
		return result, err
	}
	result.Boundaries = len(s.boundaries)
	if err := s.readRecent(ctx, db, c.Limit); err != nil {
		return result, err
	}
	stored, cut, err := s.readNewest(ctx, js, c.Limit)
	if err != nil {
		return result, err
	}
	result.Stored, result.Partial = stored, cut || len(s.ledger) == c.Limit
	letters, err := streamInfo(ctx, js, events.StreamDeadLetters)
	if err != nil {
		return result, err
	}
	s.letters = letterIndex{replays: map[string]int{}, created: letters.Created, last: letters.State.LastTime}
	if err := s.dropRegistered(ctx, db); err != nil {
		return result, err
	}
	result.count(s)
	if result.Running == c.Limit { // the others, which were not read, may be building boundaries
		s.boundaries, result.Boundaries = nil, 0
	}

	found := planComparison(s)
	if err := s.readLettersOf(ctx, js, found); err != nil {
		return result, err
	}
	whole, err := s.readPending(ctx, js, planComparison(s), c.Limit)
	if err != nil {
		return result, err
	}
	found = planComparison(s)
	if !whole {
		all := len(found)
		found = slices.DeleteFunc(found, func(f Finding) bool { return !f.IsListed() })
		result.Undecided = all - len(found)
	}
	result.Findings, err = confirm(ctx, db, found, c.Most)
	return result, err
}

// planComparison compares what was read, as [plan] does.
func planComparison(s *state) []Finding {
	p := &planner{state: s}
	p.planLedger()
	p.planBoundaries()
	return slices.DeleteFunc(p.findings, func(f Finding) bool { // the service makes it when it is delivered again
		return f.Kind == KindDeadLetterMissing && s.requests.isPending(f.Request.Key)
	})
}

func namedBoundaries(ctx context.Context, db database.Reader) (map[string]bool, error) {
	names, err := db.Boundaries(ctx)
	found := make(map[string]bool, len(names))
	for _, name := range names {
		found[name] = true
	}
	return found, err
}

// readRecent reads the running requests, and those that changed last.
func (s *state) readRecent(ctx context.Context, db database.Reader, limit int) error {
	entries, err := db.Recent(ctx, limit)
	if err != nil {
		return err
	}
	s.ledger = make(map[string]sql.LedgerEntry, len(entries))
	for _, entry := range entries {
		s.ledger[entry.Key] = entry
	}
	return nil
}

// readNewest reads the newest outcomes, and returns how many the stream has. cut: it has earlier ones, so that an
// outcome of an earlier time is not missing because it was not read.
func (s *state) readNewest(ctx context.Context, js jetstream.JetStream, limit int) (stored uint64, cut bool, _ error) {
	info, err := streamInfo(ctx, js, events.StreamEvents)
	if err != nil {
		return 0, false, err
	}
	s.outcomes.expiredBefore = expiredBefore(info, s.now)
	var earliest time.Time
	add := func(msg *jetstream.RawStreamMsg) {
		if earliest.IsZero() || msg.Time.Before(earliest) {
			earliest = msg.Time
		}
		if o, ok := readOutcome(msg); ok {
			s.outcomes.add(o)
		}
	}
	first, unread := max(info.State.FirstSeq, 1), info.State.LastSeq // unread: all up to it
	for begun := time.Now(); unread >= first && limit > 0 && time.Since(begun) < readBudget; {
		number := min(limit, entriesPage)
		begin := first + max(unread-first+1, uint64(number)) - uint64(number)
		if err := readRange(ctx, js, events.StreamEvents, begin, unread, add); err != nil {
			return 0, false, err
		}
		unread, limit = begin-1, limit-number
	}
	if cut = unread >= first; cut {
		// The clocks of database and server may differ.
		if from := earliest.Add(settleTime); from.After(s.outcomes.expiredBefore) {
			s.outcomes.expiredBefore = from
		}
	}
	return info.State.Msgs, cut, nil
}

// readRange calls fn for each message from the first sequence to the last, in no order, and never twice at a time.
func readRange(
	ctx context.Context, js jetstream.JetStream, stream string, first, last uint64, fn func(*jetstream.RawStreamMsg),
) error {
	if first > last {
		return nil
	}
	var mu sync.Mutex
	readers, ctx := errgroup.WithContext(ctx)
	part := (last-first)/compareReaders + 1
	for begin := first; begin <= last; begin += part {
		end := min(begin+part-1, last)
		readers.Go(func() error {
			for next := begin; next <= end; {
				msg, err := handler.GetMessage(ctx, js, stream, handler.StoredMessage{Sequence: next, NextFor: ">"})
				if errors.Is(err, jetstream.ErrMsgNotFound) {
					return nil
				}
				if err != nil {
					return fmt.Errorf("read stream %s: %w", stream, handler.ExplainAPIPermission(js, err))
				}
				if msg.Sequence > end {
					return nil
				}
				next = msg.Sequence + 1
				mu.Lock()
				fn(msg)
				mu.Unlock()
			}
			return nil
		})
	}
	return readers.Wait()
}

// dropRegistered drops the boundaries of registered tenants: what stays seems to belong to no tenant.
func (s *state) dropRegistered(ctx context.Context, db database.Reader) error {
	for page, err := range database.Pages(ctx, db) {
		if err != nil {
			return err
		}
		for _, row := range page {
			delete(s.boundaries, row.Boundary.Name())
			delete(s.boundaries, s.locate(row.ID)) // the storage directory may have moved
		}
	}
	return nil
}

func (result *Comparison) count(s *state) {
	for _, entry := range s.ledger {
		switch {
		case entry.State == stateRunning:
			result.Running++
			continue
		case entry.State == stateFailed:
			result.Failures++
		}
		if s.now.Sub(entry.UpdatedAt) > settleTime && !entry.UpdatedAt.Before(s.outcomes.expiredBefore) {
			result.Outcomes++
		}
	}
}

// readLettersOf reads the dead letters that seem to be missing.
func (s *state) readLettersOf(ctx context.Context, js jetstream.JetStream, found []Finding) error {
	var mu sync.Mutex
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(compareReaders)
	for _, f := range found {
		if f.Kind != KindDeadLetterMissing {
			continue
		}
		readers.Go(func() error {
			replay, there, err := handler.StoredDeadLetter(ctx, js, f.Request.Key)
			if there {
				mu.Lock()
				s.letters.replays[f.Request.Key] = replay
				mu.Unlock()
			}
			return err
		})
	}
	return readers.Wait()
}

// readPending reads the requests above the floor, if a finding depends on them. It reports false if there are more than
// the limit; then none is read.
func (s *state) readPending(
	ctx context.Context, js jetstream.JetStream, found []Finding, limit int,
) (whole bool, err error) {
	if !slices.ContainsFunc(found, func(f Finding) bool { return !f.IsListed() }) {
		return true, nil
	}
	info, err := streamInfo(ctx, js, events.StreamRequests)
	if err != nil {
		return false, err
	}
	first, last := max(s.requests.floor+1, info.State.FirstSeq), info.State.LastSeq
	if last >= first && last-first >= uint64(limit) { //nolint:gosec // limit is positive
		return false, nil
	}
	s.requests.byKey = map[string][]storedRequest{}
	return true, readRange(ctx, js, events.StreamRequests, first, last, func(msg *jetstream.RawStreamMsg) {
		key, m := s.readRequest(msg.Sequence, msg.Time, &nats.Msg{Subject: msg.Subject, Header: msg.Header, Data: msg.Data})
		s.requests.byKey[key] = append(s.requests.byKey[key], m)
	})
}

// confirm returns the findings that no operator has accepted, at most so many of each kind. Boundaries must still be
// there: an attempt that failed has removed its own.
func confirm(ctx context.Context, db database.Reader, found []Finding, most int) (confirmed []Finding, _ error) {
	var boundaries map[string]bool
	counts := map[Kind]int{}
	for _, f := range found {
		if counts[f.Kind] == most {
			continue
		}
		if f.IsListed() {
			if boundaries == nil {
				var err error
				if boundaries, err = namedBoundaries(ctx, db); err != nil {
					return nil, err
				}
			}
			if !boundaries[f.Boundary] {
				continue
			}
		} else {
			if err := complete(ctx, db, &f); err != nil {
				return nil, err
			}
			if accepted, err := isAccepted(ctx, db, f.acceptedAs()); err != nil {
				return nil, err
			} else if accepted {
				continue
			}
		}
		counts[f.Kind]++
		confirmed = append(confirmed, f)
	}
	return confirmed, nil
}
