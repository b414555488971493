package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/terminal"
)

// maxPendingProgress is how many events may wait to be shown, enough for many attempts. More are dropped, which is
// harmless.
const maxPendingProgress = 256

// follow shows the steps of the request with that source and id as they happen. Call it before you publish the
// request; stop removes the display. Without progress events it shows that it waits.
func follow(
	ctx context.Context, s *terminal.Live, nc *nats.Conn, tenant, source, id string, p terminal.Palette,
) (stop func()) {
	progress := make(chan *nats.Msg, maxPendingProgress)
	unsubscribe := func() {}
	if events.ValidateTenantID(tenant) == nil { // the service publishes no progress of an invalid id
		if sub, err := nc.ChanSubscribe(events.ProgressSubject(tenant), progress); err == nil {
			unsubscribe = func() { sub.Unsubscribe() } //nolint:errcheck // the connection closes with the command
			ctx, cancel := context.WithTimeout(ctx, publishTimeout)
			defer cancel()
			nc.FlushWithContext(ctx) //nolint:errcheck // the next publish reports the error
		}
	}
	known := newSteps(stepNames(pipeline.Steps()))
	stopping, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		defer s.Draw(nil)
		tick := time.NewTicker(spinnerInterval)
		defer tick.Stop()
		for began := time.Now(); ; {
			now := time.Now()
			s.Draw(known.lines(now, now.Sub(began), terminal.Columns(s), p))
			select {
			case msg := <-progress:
				if data, ok := progressOf(msg, source, id); ok {
					known.apply(data, time.Now())
				}
			case <-tick.C:
			case <-stopping:
				return
			}
		}
	}()
	return func() {
		unsubscribe()
		close(stopping)
		<-stopped
	}
}

// progressOf returns the progress in a message of that request; false for any other message.
func progressOf(msg *nats.Msg, source, id string) (events.Progress, bool) {
	e, err := events.Decode(msg.Header, msg.Data)
	if err != nil {
		return events.Progress{}, false
	}
	data, err := events.ProgressFrom(e)
	return data, err == nil && e.ID() == events.ProgressID(source, id, data)
}
