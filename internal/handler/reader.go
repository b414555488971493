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
	// readAhead is the batch size of a reader's pull requests.
	readAhead = 100
	// readerInactivity is when the server removes the consumer of a reader that is no longer connected.
	readerInactivity = 30 * time.Second
	// readRetryDelay is the delay before a reader retries after a failure.
	readRetryDelay = 500 * time.Millisecond
	// closeTimeout is how long a closing reader waits until its consumer is deleted.
	closeTimeout = time.Second
)

// Reader reads the messages of a stream in order, each once, and then waits for new ones. It acknowledges nothing. It
// resumes at its position after its consumer, the server or the connection was lost. Unlike the client library's
// ordered consumer it returns every message, whatever its headers say; see puller.
type Reader struct {
	js     jetstream.JetStream
	stream string
	from   jetstream.ConsumerConfig // of the next consumer, with its start position

	created   time.Time // of the stream: in a recreated one, sequences mean other messages
	consumer  string
	puller    *puller // nil: there is no consumer
	delivered uint64  // by this consumer
}

// ReadFrom is the position at which a [Reader] starts. The zero value starts with the next message that is stored.
type ReadFrom struct {
	Start bool      // at the first message that the stream holds
	Since time.Time // at the first message stored at or after it
}

// OpenReader returns a reader that is ready, or an error: [jetstream.ErrStreamNotFound] if there is no such stream. The
// caller closes it.
func OpenReader(ctx context.Context, js jetstream.JetStream, stream string, from ReadFrom) (*Reader, error) {
	r := newReader(js, stream)
	switch {
	case from.Start:
		r.from.DeliverPolicy = jetstream.DeliverAllPolicy
	case !from.Since.IsZero():
		r = ReadSince(js, stream, from.Since)
	default:
		// Start at a sequence, not at "new": a recreated consumer would skip the messages stored in between.
		found, err := js.Stream(ctx, stream)
		if err != nil {
			return nil, err
		}
		r.resumeAt(found.CachedInfo().State.LastSeq + 1)
	}
	err := r.open(ctx)
	return r, err
}

// ReadSince returns a reader of the messages stored at or after that time. It opens with its first message: the server
// need not be available yet. The caller closes it.
func ReadSince(js jetstream.JetStream, stream string, since time.Time) *Reader {
	r := newReader(js, stream)
	r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	return r
}

func newReader(js jetstream.JetStream, stream string) *Reader {
	return &Reader{js: js, stream: stream, from: jetstream.ConsumerConfig{
		Description: "Reader of " + js.Conn().Opts.Name,
		AckPolicy:   jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: readerInactivity,
	}}
}

func (r *Reader) resumeAt(sequence uint64) {
	r.from.DeliverPolicy, r.from.OptStartTime = jetstream.DeliverByStartSequencePolicy, nil
	r.from.OptStartSeq = sequence
}

func (r *Reader) open(ctx context.Context) error {
	stream, err := r.js.Stream(ctx, r.stream)
	if err != nil {
		return err
	}
	if created := stream.CachedInfo().Created; !created.Equal(r.created) {
		if !r.created.IsZero() { // the stream was recreated
			r.resumeAt(1)
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

// Next returns the next message. It blocks until there is one or ctx ends. It retries after every error, except if the
// stream does not exist or the connection is closed.
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
		if err := sleep(ctx, readRetryDelay); err != nil {
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
	r.resumeAt(meta.Sequence.Stream + 1)
	return msg, nil
}

// abandon closes the puller after a failure. The server removes the consumer by its InactiveThreshold.
func (r *Reader) abandon() {
	if r.puller != nil {
		r.puller.close()
		r.puller = nil
	}
}

// Close ends the reader and deletes its consumer, even if ctx has ended. It takes a second at most.
func (r *Reader) Close(ctx context.Context) {
	r.abandon()
	if !r.js.Conn().IsConnected() {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTimeout)
	defer cancel()
	r.js.DeleteConsumer(ctx, r.stream, r.consumer) //nolint:errcheck // if this fails, the consumer expires
}
