package handler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

const (
	// storedHeader is the time at which the original's stream stored it: RFC 3339 with nanoseconds, UTC. Dead letters of
	// earlier versions have none.
	storedHeader = deadLetterPrefix + "Stored"
	// hashHeader is the lower-case hex SHA-256 of the original's body. Only a dead letter without the original has it.
	hashHeader = deadLetterPrefix + "Hash"
)

func storedText(at time.Time) string { return at.UTC().Format(time.RFC3339Nano) }

func bodyHash(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:])
}

// isUndecodable reports whether the key is that of an undecodable message with this body. Earlier versions made the key
// of stream and sequence alone, which a publisher can also use as source and id. So that form counts only in dead
// letters of earlier versions, which have no stored time.
func (l DeadLetter) isUndecodable(body []byte) bool {
	if l.Header.Get(storedHeader) == "" {
		return l.Key == events.RequestKey(l.Stream, strconv.FormatUint(l.OriginalSequence, 10))
	}
	return l.Key == events.UndecodableKey(l.Stream, l.OriginalSequence, l.Stored, body)
}

// isEarlier reports whether the stored message is the dead letter of the same failure, as an earlier version has
// published it.
func isEarlier(stored *jetstream.RawStreamMsg, letter *nats.Msg) bool {
	if stored.Subject != letter.Subject || stored.Header.Get(storedHeader) != "" {
		return false
	}
	for _, name := range []string{"Stream", "Sequence", "Replay", "Time"} {
		if !same(stored, letter, deadLetterPrefix+name) {
			return false
		}
	}
	return true
}

// decidedEarlier reports whether an earlier version has published the dead letter of this undecodable message, under
// the key that it made. Earlier versions did not record such messages in the ledger.
func (h *Handler) decidedEarlier(ctx context.Context, d delivery) (bool, error) {
	sequence := strconv.FormatUint(d.sequence, 10)
	letter := &nats.Msg{Subject: events.DeadLetterSubject(events.RequestKey(d.stream, sequence)), Header: nats.Header{
		deadLetterPrefix + "Stream": {d.stream}, deadLetterPrefix + "Sequence": {sequence},
		deadLetterPrefix + "Replay": {strconv.Itoa(d.replay)}, deadLetterPrefix + "Time": {storedText(d.stored)},
	}}
	// It retries, as publish does: the message may never come back, and then nothing would end the state of failing.
	for n := 1; ; n++ {
		began := time.Now()
		stored, err := h.storedDeadLetter(ctx, StoredMessage{LastFor: letter.Subject})
		h.watchdog.touch()
		if err == nil {
			h.deadLetters.succeeded()
			return isEarlier(stored, letter), nil
		}
		err = h.explain(err, began, APISubject(h.JetStream, "STREAM.MSG.GET."+events.StreamDeadLetters))
		err = fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, err)
		h.deadLetters.failing(err)
		if sleep(ctx, h.serverBackoff.Delay(n)) != nil {
			return false, err
		}
	}
}

// isEarlierOutcome reports whether the stored message is the outcome of an undecodable message that an earlier version
// has decided. The ledger has this version's outcome under the same id, and its text may differ.
func isEarlierOutcome(stored *jetstream.RawStreamMsg, key string, o pipeline.Outcome) bool {
	recorded, err := events.Decode(outcomeHeader(o), o.Body)
	if err != nil {
		return false
	}
	failure, err := events.FailedFrom(recorded)
	if err != nil || failure.DeadLetter.Subject == events.DeadLetterSubject(key) {
		return false
	}
	published, err := events.Decode(stored.Header, stored.Data)
	return err == nil && published.ID() == o.ID
}

// checkOriginal returns an error if the original's sequence now holds another message. A stream that was deleted or
// restored reuses its sequences, and the message there may be another customer's.
func (l DeadLetter) checkOriginal(there *jetstream.RawStreamMsg) error {
	hash := l.Header.Get(hashHeader)
	if l.isStoredAt(there.Time) && (hash == "" || hash == bodyHash(there.Data)) {
		return nil
	}
	return unreplayable("stream %s holds another message at sequence %d, stored at %s: the stream was deleted or "+
		"restored since, and the original is lost; ask the publisher to request it again",
		l.Stream, l.OriginalSequence, storedText(there.Time))
}

// isStoredAt reports whether the original can have been stored at the time. Dead letters of earlier versions have no
// stored time. But a message that is not an event failed, for them, at the time at which it was stored; and no original
// is newer than its dead letter, by the clocks of servers that may differ. (Whose request it is, its key shows.)
func (l DeadLetter) isStoredAt(at time.Time) bool {
	switch {
	case l.Header.Get(storedHeader) != "":
		return at.Equal(l.Stored)
	case l.Reason == string(events.CauseUndecodableEvent):
		return at.Equal(l.Time)
	}
	return !at.After(l.taken.Add(clockTolerance))
}

// undecodableKey is the key of the undecodable message with that sequence in the stream of requests, or empty if the
// message cannot be read.
func (l *DeadLetters) undecodableKey(ctx context.Context, sequence uint64) string {
	stored, err := GetMessage(ctx, l.js, events.StreamRequests, StoredMessage{Sequence: sequence})
	if err != nil {
		return ""
	}
	return events.UndecodableKey(events.StreamRequests, sequence, stored.Time, stored.Data)
}
