package client

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

const (
	readAhead        = 100              // the batch size of pull requests
	readerInactivity = 30 * time.Second // after it the server removes the consumer of a reader that is gone
	closeTimeout     = time.Second      // how long a closing reader waits until its consumer is deleted
)

// reader reads the stream of outcomes in order, each message once, and then waits for new ones. It acknowledges
// nothing. It resumes at its position after its consumer, the server or the connection was lost.
type reader struct {
	js       jetstream.JetStream
	from     jetstream.ConsumerConfig // of the next consumer, with its start position
	created  time.Time                // of the stream: in a recreated one, sequences mean other messages
	consumer string
	puller   *puller // nil: there is no consumer
	read     uint64  // messages of this consumer
	pending  uint64  // messages that the stream had after the last one, or after the start position
}

func newReader(js jetstream.JetStream) *reader {
	return &reader{js: js, from: jetstream.ConsumerConfig{
		DeliverPolicy: jetstream.DeliverAllPolicy, AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1,
		InactiveThreshold: readerInactivity,
	}}
}

func (r *reader) startAt(sequence uint64) {
	r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartSequencePolicy, nil
	r.from.OptStartSeq = sequence
}

func (r *reader) startSince(t time.Time) {
	r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartTimePolicy, &t
}

// startAtEnd starts with the next message that is stored. A position, not "new": a consumer that is made again would
// skip what was stored in between.
func (r *reader) startAtEnd(ctx context.Context) error {
	next, err := r.nextSequence(ctx)
	if err != nil {
		return err
	}
	r.startAt(next)
	return nil
}

// nextSequence is that of the next message that is stored.
func (r *reader) nextSequence(ctx context.Context) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := r.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return 0, r.explain(err)
	}
	return stream.CachedInfo().State.LastSeq + 1, nil
}

// open creates the consumer.
func (r *reader) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := r.js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return r.explain(err)
	}
	if created := stream.CachedInfo().Created; !created.Equal(r.created) {
		if !r.created.IsZero() { // the stream was recreated
			r.startAt(1)
		}
		r.created = created
	}
	r.consumer = uuid.NewString() // known also if ctx ends before the server's answer: close deletes it
	r.from.Name = r.consumer
	consumer, err := r.js.CreateConsumer(ctx, events.StreamEvents, r.from)
	if err != nil {
		return r.explain(err)
	}
	r.read, r.pending = 0, consumer.CachedInfo().NumPending
	r.puller, err = newPuller(r.js, events.StreamEvents, r.consumer, readAhead)
	return err
}

func (r *reader) explain(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return noStream(events.StreamEvents)
	}
	return fmt.Errorf("read stream %s: %w", events.StreamEvents, explain(r.js.Conn(), err, apiSubject(r.js, "")))
}

// next blocks until there is a message or ctx ends. It retries after every error but those of isFinal.
func (r *reader) next(ctx context.Context) (*nats.Msg, uint64, error) {
	for {
		msg, sequence, err := r.nextOnce(ctx)
		switch {
		case err == nil:
			return msg, sequence, nil
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case isFinal(r.js.Conn(), err):
			return nil, 0, err
		}
		r.abandon()
		if err := pause(ctx); err != nil {
			return nil, 0, err
		}
	}
}

func (r *reader) nextOnce(ctx context.Context) (*nats.Msg, uint64, error) {
	if r.puller == nil {
		if err := r.open(ctx); err != nil {
			return nil, 0, err
		}
	}
	msg, err := r.puller.next(ctx)
	if err != nil {
		return nil, 0, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, 0, err
	}
	if meta.Sequence.Consumer != r.read+1 {
		return nil, 0, fmt.Errorf("message %d of the consumer came after %d", meta.Sequence.Consumer, r.read)
	}
	r.read++
	r.pending = meta.NumPending
	r.startAt(meta.Sequence.Stream + 1)
	return msg, meta.Sequence.Stream, nil
}

// abandon ends the subscription. The server removes the consumer by its InactiveThreshold.
func (r *reader) abandon() {
	if r.puller != nil {
		r.puller.close()
		r.puller = nil
	}
}

// close ends the reader and deletes its consumer, even if ctx has ended. It takes a second at most.
func (r *reader) close(ctx context.Context) {
	r.abandon()
	if r.consumer == "" || !r.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	r.js.DeleteConsumer(ctx, events.StreamEvents, r.consumer) //nolint:errcheck // if this fails, the consumer expires
}
