package main

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// replayOutcomes waits for the outcome of each replay: one that is published after the replay, and that this
// publication can have caused. It receives the outcomes that are published after it was opened.
//
// The stream of requests may already have a replay, from another operator or an interrupted run. Its outcome may be
// older than this run. So for such replays it also reads the outcomes since the first of them was stored.
type replayOutcomes struct {
	settle    func(replayLine)
	js        jetstream.JetStream
	published *publishedOutcomes
	lost      uint64 // number of reconnects at the start

	mu      sync.Mutex
	waiting map[string][]awaited // by the key of the request
	n       int
	since   time.Time // of the first replay that the stream already had; zero: none
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

// canCause reports whether the replay can have caused the outcome. Usually the outcome has the replay's number. If the
// ledger is ahead, it has a later one. If the request had succeeded, it is that success. The failure of an earlier
// replay caused the dead letter. An event of another publisher may claim to be the outcome, but has another id.
func (a awaited) canCause(e event.Event, f outcomeFacts) bool {
	return a.outcomeID(f.replay, e.Type()) == e.ID() &&
		(f.replay >= a.replayed.Number || e.Type() == events.TypeProvisioned)
}

// with returns the line of the replay with its outcome.
func (a awaited) with(e event.Event, f outcomeFacts) replayLine {
	line := a.line
	line.OutcomeID = e.ID()
	switch {
	case e.Type() == events.TypeProvisioningFailed:
		line.Outcome, line.Cause = outcomeFailed, f.cause
	case f.replay < a.replayed.Number:
		line.Outcome = outcomeAlready
	default:
		line.Outcome = outcomeProvisioned
	}
	return line
}

func newReplayOutcomes(js jetstream.JetStream, settle func(replayLine)) *replayOutcomes {
	return &replayOutcomes{settle: settle, js: js, waiting: map[string][]awaited{}, changed: make(chan struct{}, 1)}
}

// awaitReplays receives outcomes from now on. It calls settle once for each replay, with its outcome or without.
func awaitReplays(ctx context.Context, js jetstream.JetStream, settle func(replayLine)) (_ *replayOutcomes, err error) {
	o := newReplayOutcomes(js, settle)
	o.lost = js.Conn().Stats().Reconnects
	o.published, err = openPublishedOutcomes(ctx, js, skipOthers(), func(e event.Event) { o.receive(e, false) })
	return o, err
}

// skipOthers is the log of messages that are not outcomes. They concern no replay.
func skipOthers() *slog.Logger { return slog.New(slog.DiscardHandler) }

// during publishes a replay and waits for its outcome from then on. No outcome is processed in the meantime: the key
// of an undecodable message is known only once it is stored.
func (o *replayOutcomes) during(publish func() (replayLine, *handler.Replayed)) {
	o.mu.Lock()
	defer o.mu.Unlock()
	line, replayed := publish()
	switch {
	case replayed == nil:
		o.settle(line)
		return
	case replayed.Key == "": // its outcome cannot be identified
		line.Outcome = outcomeNone
		o.settle(line)
		return
	}
	o.waiting[replayed.Key] = append(o.waiting[replayed.Key], awaited{line, *replayed})
	o.n++
	if replayed.Repeated && (o.since.IsZero() || replayed.Stored.Before(o.since)) {
		o.since = replayed.Stored
	}
}

// receive settles the replays that can have caused the outcome. An earlier outcome was published before this run; only
// replays that the stream already had can have caused it.
func (o *replayOutcomes) receive(e event.Event, earlier bool) {
	f := describeOutcome(e)
	o.mu.Lock()
	defer o.mu.Unlock()
	key := o.keyOf(e, f)
	var left []awaited
	for _, a := range o.waiting[key] {
		if earlier && !a.replayed.Repeated || !a.canCause(e, f) {
			left = append(left, a)
			continue
		}
		o.n--
		o.settle(a.with(e, f))
	}
	if o.waiting[key] = left; len(left) == 0 {
		delete(o.waiting, key)
	}
	select {
	case o.changed <- struct{}{}:
	default:
	}
}

// keyOf is the key of the request that the outcome decides. A success of an earlier version may not name it; its
// request is found by the outcome's id.
func (o *replayOutcomes) keyOf(e event.Event, f outcomeFacts) string {
	if f.key != "" || f.tenant == "" {
		return f.key
	}
	for key, all := range o.waiting {
		if all[0].outcomeID(f.replay, e.Type()) == e.ID() {
			return key
		}
	}
	return ""
}

// end waits until every replay has its outcome, wait has passed, ctx ends, or the stream of outcomes is deleted. It
// settles the rest without an outcome. reconnected reports whether the connection was lost in the meantime: an outcome
// may have been missed.
func (o *replayOutcomes) end(ctx context.Context, wait time.Duration) (reconnected bool, err error) {
	if o.left() > 0 {
		err = o.await(ctx, wait)
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

// await returns nil also when wait has passed or ctx ends: the summary counts the outcomes that were not seen.
func (o *replayOutcomes) await(ctx context.Context, wait time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	failed, stop := o.published.follow(ctx)
	defer stop()
	var earlierFailed <-chan error
	if !o.since.IsZero() {
		reader := handler.ReadSince(o.js, events.StreamEvents, o.since)
		defer reader.Close(ctx)
		earlier := &outcomes{reader, skipOthers()}
		var stopEarlier func()
		earlierFailed, stopEarlier = earlier.follow(ctx, func(e event.Event) { o.receive(e, true) })
		defer stopEarlier()
	}
	for o.left() > 0 {
		var err error
		select {
		case <-o.changed:
			continue
		case err = <-failed:
		case err = <-earlierFailed:
		}
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("stopped waiting for outcomes: stream %s: %w", events.StreamEvents, err)
	}
	return nil
}

func (o *replayOutcomes) left() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.n
}

func (o *replayOutcomes) close(ctx context.Context) { o.published.close(ctx) }
