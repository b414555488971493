package handler

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// progressObserver publishes progress, and ignores all other events.
type progressObserver struct{ *Progress }

func (progressObserver) AttemptEnded(pipeline.AttemptResult) {}
func (progressObserver) Warned(string, string)               {}
func (progressObserver) Recorded(string, events.CauseCode)   {}

// observeProgress makes handlers publish progress on one connection, and returns the events received on another.
func (b *bundle) observeProgress() (publisher, subscriber *nats.Conn, _ <-chan events.Progress) {
	b.t.Helper()
	publisher = b.server.connect(b.t)
	b.observer = progressObserver{NewProgress(publisher, events.DefaultSource, slog.New(slog.DiscardHandler))}
	received := make(chan events.Progress, 1000)
	subscriber = b.server.connect(b.t)
	_, err := subscriber.Subscribe(events.SubjectProgressPrefix+">", func(msg *nats.Msg) {
		e, err := events.Decode(msg.Header, msg.Data)
		if err != nil {
			b.t.Errorf("undecodable: %v", err)
			return
		}
		p, err := events.ProgressFrom(e)
		if err != nil || msg.Subject != events.ProgressSubject(p.TenantID) ||
			e.ID() != events.ProgressID(p.Request.Source, p.Request.ID, p) {
			b.t.Errorf("subject %s: %v, error %v", msg.Subject, e, err)
		}
		received <- p
	})
	testkit.Must(b.t, err)
	testkit.Must(b.t, subscriber.Flush())
	return publisher, subscriber, received
}

// nextProgress returns the next n events as text.
func (b *bundle) nextProgress(received <-chan events.Progress, n int) (all []string) {
	b.t.Helper()
	for range n {
		p := testkit.Receive(b.t, "progress is published", received)
		if ended := p.State != events.StepStarted; !ended && p.DurationMS != 0 {
			b.t.Errorf("a started step has duration %v ms", p.DurationMS)
		}
		all = append(all, fmt.Sprintf("%s %s/%d: %d %s", p.TenantID, p.Request.ID, p.Attempt, p.Step.Number, p.State))
	}
	return all
}

// successfulAttempt is the events of an attempt that succeeds.
func successfulAttempt(attempt string) (all []string) {
	for number := range pipeline.Steps() {
		for _, state := range []string{events.StepStarted, events.StepDone} {
			all = append(all, fmt.Sprintf("%s: %d %s", attempt, number, state))
		}
	}
	return all
}

func TestProgressIsPublishedInOrder(t *testing.T) {
	b := newBundle(t)
	publisher, _, received := b.observeProgress()
	b.db.work = func(_ context.Context, _ string, attempt int) error {
		if attempt == 1 {
			return errTransient
		}
		return nil
	}
	b.start()
	// Without a valid id there is no subject: the first two requests have no progress events.
	b.publish(b.request("1", "../etc"), b.request("2", "_docex_x_"))
	b.awaitSettled()
	testkit.Equal(t, "messages published", publisher.Stats().OutMsgs, 0)
	b.publish(b.request("3", "acme"))
	want := slices.Concat(successfulAttempt("acme 3/1")[:5], []string{"acme 3/1: 2 failed"}, successfulAttempt("acme 3/2"))
	if diff := cmp.Diff(want, b.nextProgress(received, len(want))); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.awaitSettled()
	b.counts(3, 2)
}

// While NATS is unavailable, work continues, and its progress is not published later.
func TestProgressDoesNotBlockWork(t *testing.T) {
	b := newBundle(t)
	publisher, subscriber, received := b.observeProgress()
	entered, release := b.block()
	b.start()
	b.publish(b.request("1", "acme"))
	testkit.Receive(t, "work begins", entered)
	b.nextProgress(received, 5) // up to the step that blocks
	b.server.stop()
	b.eventually("the connection is lost", func() bool { return !publisher.IsConnected() })
	before := publisher.Stats().OutMsgs
	begin := time.Now()
	observer := b.observer
	observer.StepBegan(pipeline.StepEvent{TenantID: "acme", Step: events.Step{Number: 9}})
	observer.StepEnded(pipeline.StepEvent{TenantID: "acme", Step: events.Step{Number: 9}}, 0, nil)
	if took := time.Since(begin); took > publishTimeout { // NATS is unavailable until after this
		t.Errorf("it took %s", took)
	}
	release()
	b.eventually("the tenant is registered", func() bool {
		b.db.mu.Lock()
		defer b.db.mu.Unlock()
		return b.db.tenants["acme"]
	})
	testkit.Equal(t, "messages kept for later", publisher.Stats().OutMsgs, before)
	b.server.start(t)
	b.awaitSettled()
	b.eventually("both connections are reconnected", func() bool { return publisher.IsConnected() && subscriber.IsConnected() })
	testkit.Must(t, subscriber.FlushTimeout(testkit.Patience)) // the server has its subscription again
	// Later progress is received, and no lost progress before it. The outcome is published again, without progress.
	b.publish(b.request("2", "umbrella"))
	if diff := cmp.Diff(successfulAttempt("umbrella 2/1"), b.nextProgress(received, 12)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
