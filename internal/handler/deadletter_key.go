package handler

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
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

// checkOriginal returns an error if the original's sequence now holds another message. A stream that was deleted or
// restored reuses its sequences, and the message there may be another customer's. Dead letters of earlier versions lack
// the data for this check and pass it.
func (l DeadLetter) checkOriginal(there *jetstream.RawStreamMsg) error {
	hash := l.Header.Get(hashHeader)
	if (l.Header.Get(storedHeader) == "" || there.Time.Equal(l.Stored)) && (hash == "" || hash == bodyHash(there.Data)) {
		return nil
	}
	return unreplayable("stream %s holds another message at sequence %d, stored at %s: the stream was deleted or "+
		"restored since, and the original is lost; ask the publisher to request it again",
		l.Stream, l.OriginalSequence, storedText(there.Time))
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
