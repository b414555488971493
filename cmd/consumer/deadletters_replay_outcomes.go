package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/natsconn"
)

// replayOutcomes waits for the outcomes of replays. It subscribes to the subjects, because a request that had already
// succeeded has its outcome published again under the same id, and the stream drops that as a duplicate.
//
// For the replays that are then left it reads the stream, from a time before the first replay. The outcome of a replay
// that the stream of requests already had may be older than this run, and the subscriptions miss outcomes that are
// published while the connection is lost.
type replayOutcomes struct {
	settle   func(replayLine)
	js       jetstream.JetStream
	began    time.Time // by the server's clock, minus the duplicate window of the stream of requests
	lost     uint64    // number of reconnects at the start
	subjects []*nats.Subscription

	mu      sync.Mutex
	waiting map[string][]awaited // by key
	n       int
	changed chan struct{}
}

// awaited is a replay whose outcome is not known yet.
type awaited struct {
	line     replayLine
	replayed handler.Replayed
}

// outcomeID is the id of an outcome of the replayed request.
func (a awaited) outcomeID(replay int, eventType string) string {
	if r := a.replayed.Request; r != nil {
		return events.OutcomeID(r.Source, r.ID, replay, eventType)
	}
	return events.UndecodableOutcomeID(a.replayed.Key, replay)
}

// awaitReplays subscribes to outcomes. It calls settle once for each replay, with its outcome or without.
func awaitReplays(ctx context.Context, js jetstream.JetStream, settle func(replayLine)) (*replayOutcomes, error) {
	o := &replayOutcomes{
		settle: settle, js: js, lost: js.Conn().Stats().Reconnects,
		waiting: map[string][]awaited{}, changed: make(chan struct{}, 1),
	}
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if err := o.listen(ctx); err != nil {
		o.close()
		return nil, err
	}
	return o, nil
}

func (o *replayOutcomes) listen(ctx context.Context) error {
	requests, err := o.js.Stream(ctx, events.StreamRequests)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("stream %s does not exist; run the service once to create it", events.StreamRequests)
	}
	if err != nil {
		return fmt.Errorf("stream %s: %w", events.StreamRequests, handler.ExplainAPIPermission(o.js.Conn(), err))
	}
	info := requests.CachedInfo()
	o.began = info.TimeStamp.Add(-info.Config.Duplicates)
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		sub, err := o.js.Conn().Subscribe(subject, func(msg *nats.Msg) { o.receive(msg.Header, msg.Data) })
		if err != nil {
			return fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		o.subjects = append(o.subjects, sub)
	}
	return o.js.Conn().FlushWithContext(ctx)
}

// during publishes a replay and waits for its outcome from then on. No outcome is processed in the meantime: the key
// of an undecodable message is known only once it is stored.
func (o *replayOutcomes) during(publish func() (replayLine, *handler.Replayed)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line, replayed := publish()
	if replayed == nil {
		o.settle(line)
		return
	}
	o.waiting[replayed.Key] = append(o.waiting[replayed.Key], awaited{line, *replayed})
	o.n++
}

// receive processes a message. It ignores every message that is not an outcome of a replay.
func (o *replayOutcomes) receive(header nats.Header, body []byte) {
	e, err := events.Decode(header, body)
	if err != nil {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if e.Type() == events.TypeProvisioned {
		if data, err := events.ProvisionedFrom(e); err == nil {
			o.provisioned(e, data)
		}
		return
	}
	if data, err := events.FailedFrom(e); err == nil {
		o.failed(e, data)
	}
}

func (o *replayOutcomes) provisioned(e event.Event, data events.Provisioned) {
	o.resolve(o.keyOf(e, data), e, func(a awaited) replayLine {
		a.line.Outcome = outcomeProvisioned
		if data.Replay < a.replayed.Number {
			a.line.Outcome = outcomeAlready
		}
		return a.line
	}, data.Replay)
}

// keyOf is the key of the request whose outcome the success is. Earlier versions did not write the key, and cut long
// sources and ids; those requests are found by the outcome's id.
func (o *replayOutcomes) keyOf(e event.Event, data events.Provisioned) string {
	r := data.Request
	if r.Key != "" {
		return r.Key
	}
	if !strings.HasSuffix(r.Source, "…") && !strings.HasSuffix(r.ID, "…") {
		return events.RequestKey(r.Source, r.ID)
	}
	for key, all := range o.waiting {
		if all[0].outcomeID(data.Replay, e.Type()) == e.ID() {
			return key
		}
	}
	return ""
}

func (o *replayOutcomes) failed(e event.Event, data events.ProvisioningFailed) {
	key := strings.TrimPrefix(data.DeadLetter.Subject, events.SubjectDeadLetterPrefix)
	if all := o.waiting[key]; len(all) > 0 && data.Replay < all[0].replayed.Number {
		return // the outcome of an earlier replay, which caused the dead letter
	}
	o.resolve(key, e, func(a awaited) replayLine {
		a.line.Outcome, a.line.Cause = outcomeFailed, string(data.Cause.Code)
		return a.line
	}, data.Replay)
}

// resolve ends the wait for the replays of a request if the event has the id of its outcome. An event of another
// publisher may claim to be the outcome.
func (o *replayOutcomes) resolve(key string, e event.Event, with func(awaited) replayLine, replay int) {
	all := o.waiting[key]
	if len(all) == 0 || all[0].outcomeID(replay, e.Type()) != e.ID() {
		return
	}
	delete(o.waiting, key)
	o.n -= len(all)
	for _, a := range all {
		line := with(a)
		line.OutcomeID = e.ID()
		o.settle(line)
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// end waits until every replay has its outcome, wait has passed, or ctx ends. It settles the rest without an outcome.
// reconnected reports whether the connection was lost in the meantime: an outcome may have been missed.
func (o *replayOutcomes) end(ctx context.Context, wait time.Duration) (reconnected bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	stop, err := o.lookBack(ctx)
	defer stop()
	for o.left() > 0 && ctx.Err() == nil && err == nil {
		select {
		case <-o.changed:
		case <-ctx.Done():
		}
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, all := range o.waiting {
		for _, a := range all {
			a.line.Outcome = outcomeNone
			o.settle(a.line)
		}
	}
	clear(o.waiting)
	o.n = 0
	return !o.js.Conn().IsConnected() || o.js.Conn().Stats().Reconnects > o.lost, err
}

// lookBack processes the outcomes in the stream since began, and new ones, until stop is called. While the server is
// unavailable it retries until ctx ends.
func (o *replayOutcomes) lookBack(ctx context.Context) (stop func(), err error) {
	const retryDelay = 200 * time.Millisecond
	for o.left() > 0 && ctx.Err() == nil {
		// A request that is lost with the connection gets no reply.
		const openTimeout = 3 * time.Second
		opening, cancel := context.WithTimeout(ctx, openTimeout)
		reader, err := readOutcomes(opening, o.js, handler.ReadFrom{Since: o.began})
		cancel()
		if err == nil {
			return o.receiveAll(ctx, reader), nil
		}
		if !natsconn.Unavailable(err) {
			return func() {}, err
		}
		select {
		case <-time.After(retryDelay):
		case <-ctx.Done():
		}
	}
	return func() {}, nil // the summary counts the outcomes that were not seen
}

// receiveAll passes every message of the reader to receive, until stop is called.
func (o *replayOutcomes) receiveAll(ctx context.Context, reader *handler.Reader) (stop func()) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer reader.Close(ctx)
		for {
			msg, err := reader.Next(ctx)
			if err != nil {
				return
			}
			o.receive(msg.Header, msg.Data)
		}
	}()
	return func() {
		cancel()
		<-ended
	}
}

func (o *replayOutcomes) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

func (o *replayOutcomes) close() {
	for _, sub := range o.subjects {
		sub.Unsubscribe() //nolint:errcheck // the connection closes with the command
	}
}
