package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

const (
	// outcomeWindow is the duplicate window of the stream of outcomes; [streamRules] refuses another one. Within it the
	// server itself drops an outcome that it has stored before.
	outcomeWindow = time.Hour
	// maxLook is how many messages before, and how many after, the time at which an outcome was recorded may be read to
	// find it. It counts messages and not time: if NATS was unavailable when the outcome was recorded, its first
	// publication was hours later, but only the outcomes that were in flight with it are in between. Those are two for
	// each worker of each replica. Clocks that differ add those that are published in the difference.
	maxLook = 256
	// lookTimeout bounds the search for an outcome, of which each read has readTimeout.
	lookTimeout = time.Minute
)

// publishedAs returns the sequence of an outcome that the stream already holds and that the server would store again,
// because its duplicate window has passed. Otherwise it returns 0. Within the window it reads nothing. If the stream
// cannot be read, or the outcome is not where it is to be expected, it is published again, with the same event id.
func (h *Handler) publishedAs(ctx context.Context, key string, o pipeline.Outcome) uint64 {
	if time.Since(o.RecordedAt) < outcomeWindow-clockTolerance {
		return 0
	}
	began := time.Now()
	looking, cancel := context.WithTimeout(ctx, lookTimeout)
	defer cancel()
	sequence, err := h.findOutcome(looking, key, o)
	if err != nil {
		err = h.explain(err, began, APISubject(h.JetStream, "STREAM.INFO."+events.StreamEvents),
			APISubject(h.JetStream, "STREAM.MSG.GET."+events.StreamEvents))
		h.Log.WarnContext(ctx, "could not check whether the outcome was published before; publishing it",
			"outcome", o.ID, "error", err)
	}
	return sequence
}

// findOutcome returns the sequence of the outcome in its stream, or 0. It reads the messages next to the time at which
// the ledger recorded the outcome, nearest first.
func (h *Handler) findOutcome(ctx context.Context, key string, o pipeline.Outcome) (uint64, error) {
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := h.JetStream.Stream(reading, events.StreamEvents)
	if err != nil {
		return 0, err
	}
	state := stream.CachedInfo().State
	first := max(state.FirstSeq, 1) // 0 in a stream that has had no message
	next, err := firstStoredSince(ctx, h.JetStream, events.StreamEvents, o.RecordedAt, first, state.LastSeq+1)
	if err != nil {
		return 0, err
	}
	for i := range uint64(maxLook) {
		for _, sequence := range []uint64{next + i, next - 1 - i} { // below 0 it wraps, and is above the last one
			if sequence < first || sequence > state.LastSeq {
				continue
			}
			there, err := GetMessage(ctx, h.JetStream, events.StreamEvents, StoredMessage{Sequence: sequence})
			switch {
			case errors.Is(err, jetstream.ErrMsgNotFound): // deleted
			case err != nil:
				return 0, fmt.Errorf("read message %d of stream %s: %w", sequence, events.StreamEvents, err)
			case isOutcome(there, key, o):
				return sequence, nil
			}
		}
	}
	return 0, nil
}

// firstStoredSince returns the first sequence from first on, and below end, whose message was stored at the time or
// later, or end. Messages are stored in the order of their sequences. It reads about as many messages as the number of
// sequences has binary digits.
func firstStoredSince(
	ctx context.Context, js jetstream.JetStream, stream string, at time.Time, first, end uint64,
) (uint64, error) {
	for first < end {
		middle := first + (end-first)/2
		there, err := GetMessage(ctx, js, stream, StoredMessage{Sequence: middle, NextFor: ">"})
		switch {
		case errors.Is(err, jetstream.ErrMsgNotFound):
			end = middle
		case err != nil:
			return 0, fmt.Errorf("read message %d of stream %s: %w", middle, stream, err)
		case there.Sequence >= end, !there.Time.Before(at): // up to it, messages were deleted
			end = middle
		default:
			first = there.Sequence + 1
		}
	}
	return first, nil
}

// isOutcome reports whether the stored message is the outcome.
func isOutcome(there *jetstream.RawStreamMsg, key string, o pipeline.Outcome) bool {
	return there.Subject == o.Type && (bytes.Equal(there.Data, o.Body) || isEarlierOutcome(there, key, o))
}
