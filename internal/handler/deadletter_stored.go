package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// StoredDeadLetter returns the replay number of the dead letter that the stream has of the request with that key, and
// false if it has none.
func StoredDeadLetter(ctx context.Context, js jetstream.JetStream, key string) (replay int, found bool, err error) {
	msg, err := GetMessage(ctx, js, events.StreamDeadLetters, StoredMessage{LastFor: events.DeadLetterSubject(key)})
	if errors.Is(err, jetstream.ErrMsgNotFound) || err == nil && msg.Header.Get(jetstream.MarkerReasonHeader) != "" {
		return 0, false, nil
	}
	if err != nil {
		return 0, false, fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js, err))
	}
	replay, _ = count(msg.Header.Get(replayHeader)) // 0 if it is not a number
	return replay, true, nil
}

// DeadLetterState is what the stream of dead letters has of a request. The stream keeps no trace of a message that was
// removed, replayed or purged, or that has expired, and no time: the server's only markers are for messages that
// expire, in streams with subject_delete_marker_ttl, which the service refuses. (nats-server 2.15.2, JSMarkerReason)
type DeadLetterState struct {
	StreamCreated time.Time // zero: there is no such stream
	Stored        bool
	Replay        int // the number of the replay that failed, if Stored
}

// DeadLetterOf returns the state of the dead letter with that key.
func DeadLetterOf(ctx context.Context, js jetstream.JetStream, key string) (s DeadLetterState, err error) {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, events.StreamDeadLetters)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return s, nil
	}
	if err != nil {
		return s, fmt.Errorf("stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js, err))
	}
	s.StreamCreated = stream.CachedInfo().Created
	s.Replay, s.Stored, err = StoredDeadLetter(ctx, js, key)
	return s, err
}
