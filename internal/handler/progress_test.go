package handler

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
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

// ofStep2 returns the next n events of step 2, which runs work. On a busy machine other steps have events too.
func (b *bundle) ofStep2(received <-chan events.Progress, n int) (all []string) {
	b.t.Helper()
	for len(all) < n {
		if next := b.nextProgress(received, 1)[0]; strings.Contains(next, ": 2 ") {
			all = append(all, next)
		}
	}
	return all
}

// What takes long has a beginning and an end, in that order. A failure always has an event.
func TestProgressIsPublishedInOrder(t *testing.T) {
	b := newBundle(t)
	publisher, _, received := b.observeProgress()
	shown := make(chan struct{})
	b.db.work = func(_ context.Context, _ string, attempt int) error {
		if attempt == 1 {
			return errTransient
		}
		<-shown
		return nil
	}
	b.start()
	// Without a valid id there is no subject: the first two requests have no progress events.
	b.publish(b.request("1", "../etc"), b.request("2", "_docex_x_"))
	b.awaitSettled()
	testkit.Equal(t, "messages published", publisher.Stats().OutMsgs, 0)
	b.publish(b.request("3", "acme"))
	got := b.ofStep2(received, 2)
	if got[0] == "acme 3/1: 2 started" { // the machine is busy
		got = append(got[1:], b.ofStep2(received, 1)...)
	}
	close(shown)
	got = append(got, b.ofStep2(received, 1)...)
	if diff := cmp.Diff([]string{"acme 3/1: 2 failed", "acme 3/2: 2 started", "acme 3/2: 2 done"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.awaitSettled()
	b.counts(3, 2)
}

// What ends at once has no event: its outcome follows.
func TestProgressOfQuickSteps(t *testing.T) {
	b := newBundle(t)
	_, _, received := b.observeProgress()
	p := b.observer.(progressObserver)
	p.after = time.Hour
	acme := pipeline.StepEvent{TenantID: "acme", Request: events.Request{ID: "1"}, Attempt: 1}
	p.StepBegan(acme)
	p.StepEnded(acme, time.Millisecond, nil)
	p.StepBegan(acme)
	p.StepEnded(acme, time.Millisecond, errTransient)
	if diff := cmp.Diff([]string{"acme 1/1: 0 failed"}, b.nextProgress(received, 1)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	testkit.Equal(t, "running", len(p.running), 0)
}

// While NATS is unavailable, work continues, and its progress is not published later.
func TestProgressDoesNotBlockWork(t *testing.T) {
	b := newBundle(t)
	publisher, subscriber, received := b.observeProgress()
	entered, release := b.block()
	b.start()
	b.publish(b.request("1", "acme"))
	testkit.Receive(t, "work begins", entered)
	b.ofStep2(received, 1)
	b.server.stop()
	b.eventually("the connection is lost", func() bool { return !publisher.IsConnected() })
	before := publisher.Stats().OutMsgs
	begin := time.Now()
	observer := b.observer
	observer.StepBegan(pipeline.StepEvent{TenantID: "acme", Step: events.Step{Number: 9}})
	observer.StepEnded(pipeline.StepEvent{TenantID: "acme", Step: events.Step{Number: 9}}, 0, errTransient)
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
	entered, release = b.block()
	b.publish(b.request("2", "umbrella"))
	testkit.Receive(t, "work begins", entered)
	want := []string{"umbrella 2/1: 2 started", "umbrella 2/1: 2 done"}
	got := b.ofStep2(received, 1)
	release()
	if diff := cmp.Diff(want, append(got, b.ofStep2(received, 1)...)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
