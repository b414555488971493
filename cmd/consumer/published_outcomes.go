package main

import (
	"context"
	"fmt"
	"log/slog"
	"strings"

	"github.com/cloudevents/sdk-go/v2/event"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// publishedOutcomes receives the outcomes that are published after it was opened, some of them twice.
//
// It subscribes to the subjects of outcomes, because a request that was decided before has its outcome published again
// under the same id, and the stream drops that as a duplicate. While it follows the stream, it also reads what the
// stream has stored since: a subscription misses what is published while the connection is lost, and a user may lack
// the permission for it.
type publishedOutcomes struct {
	receive  func(event.Event)
	stream   *outcomes
	subjects []*nats.Subscription
	closed   chan struct{}
}

// maxUnread is how many outcomes wait to be received; the stream has further ones.
const maxUnread = 1 << 16

// openPublishedOutcomes calls receive from other goroutines, also at the same time: for the outcomes of the stream in
// the order in which they were published, and for those of the subjects too.
func openPublishedOutcomes(
	ctx context.Context, js jetstream.JetStream, log *slog.Logger, receive func(event.Event),
) (*publishedOutcomes, error) {
	stream, err := openOutcomes(ctx, js, false, log)
	if err != nil {
		return nil, err
	}
	o := &publishedOutcomes{receive: receive, stream: stream, closed: make(chan struct{})}
	unread := make(chan *nats.Msg, maxUnread)
	go o.read(unread)
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		sub, err := js.Conn().ChanSubscribe(subject, unread)
		if err != nil {
			o.close(ctx)
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		o.subjects = append(o.subjects, sub)
	}
	return o, nil
}

func (o *publishedOutcomes) read(unread <-chan *nats.Msg) {
	for {
		select {
		case msg := <-unread:
			if e, err := events.Decode(msg.Header, msg.Data); err == nil {
				o.receive(e)
			}
		case <-o.closed:
			return
		}
	}
}

// follow reads the stream until stop is called; see [outcomes.follow].
func (o *publishedOutcomes) follow(ctx context.Context) (failed <-chan error, stop func()) {
	return o.stream.follow(ctx, o.receive)
}

func (o *publishedOutcomes) close(ctx context.Context) {
	for _, sub := range o.subjects {
		sub.Unsubscribe() //nolint:errcheck // the connection closes with the command
	}
	close(o.closed)
	o.stream.close(ctx)
}

// outcomeFacts are what an outcome says of the request that it decides. It is not checked whether that is true.
type outcomeFacts struct {
	tenant string
	replay int
	key    string // of the request; empty: not known
	cause  string // of a failure
}

func describeOutcome(e event.Event) outcomeFacts {
	if data, err := events.ProvisionedFrom(e); err == nil {
		f := outcomeFacts{tenant: data.TenantID, replay: data.Replay, key: data.Request.Key}
		// Earlier versions did not write the key. Where they have also cut source or id, it cannot be computed.
		r := data.Request
		if f.key == "" && !strings.HasSuffix(r.Source, "…") && !strings.HasSuffix(r.ID, "…") {
			f.key = events.RequestKey(r.Source, r.ID)
		}
		return f
	}
	if data, err := events.FailedFrom(e); err == nil {
		return outcomeFacts{
			tenant: data.TenantID, replay: data.Replay, cause: string(data.Cause.Code),
			key: strings.TrimPrefix(data.DeadLetter.Subject, events.SubjectDeadLetterPrefix),
		}
	}
	return outcomeFacts{}
}
