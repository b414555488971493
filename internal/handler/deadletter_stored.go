package handler

import (
	"context"
	"errors"
	"fmt"

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
		return 0, false, fmt.Errorf("read stream %s: %w", events.StreamDeadLetters, ExplainAPIPermission(js.Conn(), err))
	}
	replay, _ = count(msg.Header.Get(replayHeader)) // 0 if it is not a number
	return replay, true, nil
}
