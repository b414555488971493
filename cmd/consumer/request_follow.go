package main

import (
	"context"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/terminal"
)

// toldAtOnce is how many events may wait to be shown, enough for many attempts. More are dropped, which is harmless.
const toldAtOnce = 256

// follow shows the steps of the request with that source and id as they happen. Call it before you publish the request;
// stop removes the display. Without progress events it shows that it waits.
func follow(
	ctx context.Context, s *terminal.Live, nc *nats.Conn, tenant, source, id string, p terminal.Palette,
) (stop func()) {
	told := make(chan *nats.Msg, toldAtOnce)
	unsubscribe := func() {}
	if events.ValidateTenantID(tenant) == nil { // the service publishes no progress of an invalid id
		if sub, err := nc.ChanSubscribe(events.ProgressSubject(tenant), told); err == nil {
			unsubscribe = func() { sub.Unsubscribe() } //nolint:errcheck // the connection closes with the command
			ctx, cancel := context.WithTimeout(ctx, publishTimeout)
			defer cancel()
			nc.FlushWithContext(ctx) //nolint:errcheck // the next publish reports the error
		}
	}
	var names []string
	for _, step := range pipeline.Steps() {
		names = append(names, step.Name)
	}
	known := newSteps(names)
	ending, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		defer s.Draw(nil)
		turn := time.NewTicker(spinnerInterval)
		defer turn.Stop()
		for began := time.Now(); ; {
			now := time.Now()
			s.Draw(known.lines(now, now.Sub(began), terminal.Columns(s), p))
			select {
			case msg := <-told:
				if data, ok := progressOf(msg, source, id); ok {
					known.hear(data, time.Now())
				}
			case <-turn.C:
			case <-ending:
				return
			}
		}
	}()
	return func() {
		unsubscribe()
		close(ending)
		<-ended
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
