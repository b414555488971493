package recovery

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	// openTimeout is how long opening a stream may take. Without a limit the client waits endlessly where a permission is
	// missing.
	openTimeout = 10 * time.Second
	// silence is how long a reader waits for a message before it checks that the stream still has one.
	silence = 5 * time.Second
)

// streamInfo reads the state of a stream.
func streamInfo(ctx context.Context, js jetstream.JetStream, name string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	stream, err := js.Stream(ctx, name)
	switch {
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return nil, fmt.Errorf("stream %s does not exist; run the service once to create it", name)
	case err != nil:
		return nil, fmt.Errorf("read stream %s: %w", name, handler.ExplainAPIPermission(js, err))
	}
	return stream.CachedInfo(), nil
}

// messages calls fn for each message that the stream has when it begins, from that position on. It leaves nothing
// behind in the stream.
func messages(
	ctx context.Context, js jetstream.JetStream, name string, from handler.ReadFrom,
	fn func(sequence uint64, stored time.Time, msg *nats.Msg),
) (*jetstream.StreamInfo, error) {
	info, err := streamInfo(ctx, js, name)
	if err != nil || info.State.Msgs == 0 {
		return info, err
	}
	opening, cancel := context.WithTimeout(ctx, openTimeout)
	defer cancel()
	reader, err := handler.OpenReader(opening, js, name, from)
	if err != nil {
		return nil, fmt.Errorf("read stream %s: %w", name, handler.ExplainAPIPermission(js, err))
	}
	defer reader.Close(ctx)
	for next := uint64(1); next <= info.State.LastSeq; {
		msg, err := nextMessage(ctx, reader)
		if errors.Is(err, errSilent) {
			// The last messages were removed in the meantime, or the server is slow.
			_, err = handler.GetMessage(ctx, js, name, handler.StoredMessage{Sequence: next, NextFor: ">"})
			if errors.Is(err, jetstream.ErrMsgNotFound) {
				return info, nil
			}
			if err == nil {
				continue
			}
		}
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", name, err)
		}
		meta, err := msg.Metadata()
		if err != nil {
			return nil, fmt.Errorf("read stream %s: %w", name, err)
		}
		fn(meta.Sequence.Stream, meta.Timestamp, msg.Msg)
		if next = meta.Sequence.Stream + 1; meta.NumPending == 0 {
			break
		}
	}
	return info, nil
}

var errSilent = errors.New("no message arrived")

// nextMessage returns the next message, or errSilent.
func nextMessage(ctx context.Context, reader *handler.Reader) (*handler.Message, error) {
	waiting, cancel := context.WithTimeoutCause(ctx, silence, errSilent)
	defer cancel()
	return reader.Next(waiting)
}

// readConsumer reads which requests the consumer has passed. It is read first: what it has passed has its outcome in
// TENANT_EVENTS. A consumer that does not exist has passed none.
func readConsumer(ctx context.Context, js jetstream.JetStream, ackWait time.Duration) (x requestIndex, err error) {
	x.ackWait = ackWait
	consumer, stream, err := handler.ReadConsumer(ctx, js)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		return x, nil
	}
	if err != nil {
		return x, err
	}
	x.ackWait, x.floor, x.ahead = consumer.Config.AckWait, consumer.AckFloor.Stream, handler.IsAhead(consumer, stream)
	if x.floor > stream.State.LastSeq { // made again, it begins with the first request
		x.floor = 0
	}
	return x, nil
}

// sleep waits, or returns the cause of the end of ctx.
func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// readRequests reads the messages of TENANT_REQUESTS, after ledger and outcomes.
func (s *state) readRequests(ctx context.Context, js jetstream.JetStream) error {
	x := &s.requests
	x.byKey = map[string][]storedRequest{}
	info, err := streamInfo(ctx, js, events.StreamRequests)
	if err != nil {
		return err
	}
	x.last = info.Created
	// Not with a consumer: a user who may create one could edit the durable consumer.
	err = readRange(ctx, js, events.StreamRequests, max(info.State.FirstSeq, 1), info.State.LastSeq,
		func(msg *jetstream.RawStreamMsg) {
			if msg.Time.After(x.last) {
				x.last = msg.Time
			}
			key, m := s.readRequest(msg.Sequence, msg.Time, &nats.Msg{Header: msg.Header, Data: msg.Data})
			x.byKey[key] = append(x.byKey[key], m)
		})
	for _, all := range x.byKey {
		slices.SortFunc(all, func(a, b storedRequest) int { return cmp.Compare(a.sequence, b.sequence) })
	}
	return err
}

// readRequest returns a stored message, and the key of its request. A message that failed as undecodable stays that: an
// earlier version may have been unable to decode what this one can.
func (s *state) readRequest(sequence uint64, stored time.Time, msg *nats.Msg) (key string, m storedRequest) {
	m = storedRequest{storedRef: storedRef{sequence, stored}, replay: handler.ReplayNumber(msg.Header)}
	e, err := events.Decode(msg.Header, msg.Data)
	key = events.UndecodableKey(events.StreamRequests, sequence, stored, msg.Data)
	if _, failed := s.ledger[key]; failed || err != nil || s.outcomes.ids[events.UndecodableOutcomeID(key, m.replay)] {
		return key, m
	}
	m.request = events.Request{Source: e.Source(), ID: e.ID()}
	if data, err := events.RequestedFrom(e); err == nil {
		m.tenant = data.TenantID
	}
	return events.RequestKey(e.Source(), e.ID()), m
}

// readOutcomes reads the messages of TENANT_EVENTS. At the end it looks for those that were stored in the meantime.
func readOutcomes(ctx context.Context, js jetstream.JetStream) (outcomeIndex, error) {
	x := newOutcomeIndex()
	var lastStored time.Time
	add := func(sequence uint64, stored time.Time, msg *nats.Msg) {
		x.read.Sequence, lastStored = sequence, stored
		o, ok := readOutcome(&jetstream.RawStreamMsg{
			Subject: msg.Subject, Sequence: sequence, Header: msg.Header, Data: msg.Data, Time: stored,
		})
		if ok {
			x.add(o)
		}
	}
	info, err := messages(ctx, js, events.StreamEvents, handler.ReadFrom{Start: true}, add)
	if err != nil {
		return x, err
	}
	x.read.Stream, x.expiredBefore = info.Created, expiredBefore(info, time.Now())
	if now, err := streamInfo(ctx, js, events.StreamEvents); err != nil || now.State.LastSeq <= x.read.Sequence ||
		x.read.Sequence == 0 {
		return x, err
	}
	_, err = messages(ctx, js, events.StreamEvents, handler.ReadFrom{Since: lastStored}, add)
	return x, err
}

// expiredBefore returns the time before which a message may have left the stream by its limits, or zero. What left a
// stream without limits was removed.
func expiredBefore(info *jetstream.StreamInfo, now time.Time) (t time.Time) {
	c, state := info.Config, info.State
	if c.MaxAge > 0 {
		t = now.Add(-c.MaxAge)
	}
	if state.FirstSeq <= 1 || c.MaxMsgs <= 0 && c.MaxBytes <= 0 && c.MaxMsgsPerSubject <= 0 {
		return t
	}
	if state.Msgs == 0 {
		return now
	}
	if state.FirstTime.After(t) {
		t = state.FirstTime
	}
	return t
}

// readLetters reads the headers of TENANT_DEAD_LETTERS.
func readLetters(ctx context.Context, js jetstream.JetStream) (x letterIndex, err error) {
	x.replays = map[string]int{}
	info, err := streamInfo(ctx, js, events.StreamDeadLetters)
	if err != nil {
		return x, err
	}
	x.created, x.last = info.Created, info.State.LastTime
	letters, err := handler.OpenDeadLetters(ctx, js)
	if err != nil {
		return x, err
	}
	for letter, err := range letters.All(ctx, handler.Filter{}) {
		if err != nil {
			return x, err
		}
		x.replays[letter.Key] = max(x.replays[letter.Key], letter.Replay)
	}
	return x, nil
}
