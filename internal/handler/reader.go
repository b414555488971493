package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// readAhead is how many messages a reader asks for at once.
	readAhead = 100
	// readerForgottenAfter is when the server removes the consumer of a reader that has gone.
	readerForgottenAfter = 30 * time.Second
	// readAgainAfter is the pause before a reader that has failed tries again.
	readAgainAfter = 500 * time.Millisecond
)

// Reader reads the messages of a stream in order, each once, and then those that come. It acknowledges nothing. It
// goes on where it was when its consumer, the server or the connection was lost. Unlike the client library's ordered
// consumer it returns every message, whatever its headers say; see puller.
type Reader struct {
	js     jetstream.JetStream
	stream string
	from   jetstream.ConsumerConfig // where the next consumer begins

	created   time.Time // of the stream: in another one sequences mean other messages
	consumer  string
	puller    *puller // nil: there is no consumer now
	delivered uint64  // by this consumer
}

// ReadFrom says where a [Reader] begins. The zero value means: with what the stream takes from now on.
type ReadFrom struct {
	Start bool      // with the first message that the stream holds
	Since time.Time // with the first message that was stored then or later
}

// OpenReader returns a reader that is ready, or an error: [jetstream.ErrStreamNotFound] where there is no such stream.
// The caller closes it.
func OpenReader(ctx context.Context, js jetstream.JetStream, stream string, from ReadFrom) (*Reader, error) {
	r := &Reader{js: js, stream: stream, from: jetstream.ConsumerConfig{
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: readerForgottenAfter,
	}}
	switch {
	case from.Start:
		r.from.DeliverPolicy = jetstream.DeliverAllPolicy
	case !from.Since.IsZero():
		r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartTimePolicy, &from.Since
	default:
		// A place in the stream, and not "new": a consumer that is made again would pass over what came in between.
		found, err := js.Stream(ctx, stream)
		if err != nil {
			return nil, err
		}
		r.goOnAt(found.CachedInfo().State.LastSeq + 1)
	}
	err := r.open(ctx)
	return r, err
}

func (r *Reader) goOnAt(sequence uint64) {
	r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartSequencePolicy, nil
	r.from.OptStartSeq = sequence
}

func (r *Reader) open(ctx context.Context) error {
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	if created := stream.CachedInfo().Created; !created.Equal(r.created) {
		if !r.created.IsZero() { // it was made again
			r.goOnAt(1)
		}
		r.created = created
	}
	consumer, err := r.js.CreateConsumer(ctx, r.stream, r.from)
	if err != nil {
		return err
	}
	r.consumer, r.delivered = consumer.CachedInfo().Name, 0
	r.puller, err = newPuller(r.js, r.stream, r.consumer, pullRequest{
		Batch: readAhead, Expires: pullExpiry, Heartbeat: heartbeat,
	})
	return err
}

// Next returns the next message. It blocks until there is one or ctx ends. It tries again whatever fails, but for a
// stream that is gone and a connection that is closed.
func (r *Reader) Next(ctx context.Context) (*Message, error) {
	for {
		msg, err := r.next(ctx)
		switch {
		case err == nil:
			return msg, nil
		case ctx.Err() != nil:
			return nil, context.Cause(ctx)
		case errors.Is(err, jetstream.ErrStreamNotFound):
			return nil, err
		case r.js.Conn().IsClosed():
			return nil, nats.ErrConnectionClosed
		}
		r.abandon()
		if err := sleep(ctx, readAgainAfter); err != nil {
			return nil, err
		}
	}
}

func (r *Reader) next(ctx context.Context) (*Message, error) {
	if r.puller == nil {
		opening, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		if err := r.open(opening); err != nil {
			return nil, err
		}
	}
	msg, err := r.puller.next(ctx, func() {})
	if err != nil {
		return nil, err
	}
	meta, err := msg.Metadata()
	if err != nil {
		return nil, err
	}
	if meta.Sequence.Consumer != r.delivered+1 {
		return nil, fmt.Errorf("message %d of the consumer came after %d", meta.Sequence.Consumer, r.delivered)
	}
	r.delivered++
	r.goOnAt(meta.Sequence.Stream + 1)
	return msg, nil
}

// abandon gives up a consumer that has failed; the server forgets it.
func (r *Reader) abandon() {
	if r.puller != nil {
		r.puller.drain()
		r.puller = nil
	}
}

// Close ends the reader and has the server forget it, also where ctx has ended. It takes two seconds at most.
func (r *Reader) Close(ctx context.Context) {
	r.abandon()
	if !r.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainTimeout)
	defer cancel()
	r.js.DeleteConsumer(ctx, r.stream, r.consumer) //nolint:errcheck // the server forgets it soon
}
