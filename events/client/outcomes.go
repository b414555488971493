package client

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Options are those of [Outcomes]. With the zero value, outcomes that are published from then on are read, and nothing
// is acknowledged.
type Options struct {
	// Durable is the name of the system that reads, such as welcome-mail. The server keeps its position, and several
	// processes of that name share the outcomes. Empty: the position is lost with the Subscription.
	Durable string
	// All begins with the oldest outcome that the stream has. A durable consumer that exists goes on where it was.
	All bool
	// AckWait is when an outcome that is not acknowledged is delivered again; 0: 30 seconds. It applies when the durable
	// consumer is created.
	AckWait time.Duration
	// Skip receives each message that is not an outcome, from within Next; nil: they are passed over in silence. A durable
	// consumer does not get them again.
	Skip func(Skipped)
}

// Subscription returns outcomes one by one. Only one goroutine may use it at a time.
//
// Delivery is at least once: the same outcome may come repeatedly, with the same [Outcome.ID], also days later. Store
// the ids that you have acted upon, in the transaction in which you act, and drop repeats. Order the outcomes of one
// request by [Outcome.Replay], not by their arrival.
type Subscription struct {
	js     jetstream.JetStream
	o      Options
	reader *reader // without a durable consumer
	puller *puller // of the durable consumer; nil: it is not open
}

// Delivery is an outcome that was delivered.
type Delivery struct {
	Outcome
	msg  *nats.Msg // nil: it needs no acknowledgement
	conn *nats.Conn
}

// Outcomes starts to read outcomes. The caller closes the Subscription. Errors: [ErrNoStream],
// [nats.ErrPermissionViolation], the server's refusal of the consumer, or that of ctx, whose end does not end the
// Subscription.
func Outcomes(ctx context.Context, js jetstream.JetStream, o Options) (*Subscription, error) {
	s := &Subscription{js: js, o: o, reader: newReader(js)}
	if o.Durable != "" {
		err := s.open(ctx)
		return s, err
	}
	if !o.All {
		if err := s.reader.startAtEnd(ctx); err != nil {
			return nil, err
		}
	}
	return s, s.reader.open(ctx)
}

// open finds or creates the durable consumer. One that an administrator has made is used as it is.
func (s *Subscription) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	_, err := s.js.Consumer(ctx, events.StreamEvents, s.o.Durable)
	if errors.Is(err, jetstream.ErrConsumerNotFound) {
		config := jetstream.ConsumerConfig{
			Durable: s.o.Durable, AckPolicy: jetstream.AckExplicitPolicy, MaxDeliver: -1,
			AckWait: cmp.Or(s.o.AckWait, 30*time.Second), DeliverPolicy: jetstream.DeliverNewPolicy,
		}
		if s.o.All {
			config.DeliverPolicy = jetstream.DeliverAllPolicy
		}
		_, err = s.js.CreateConsumer(ctx, events.StreamEvents, config)
	}
	if err != nil {
		return fmt.Errorf("consumer %s: %w", s.o.Durable, s.reader.explain(err))
	}
	// One at a time: outcomes that wait in a buffer would be delivered again after AckWait.
	s.puller, err = newPuller(s.js, events.StreamEvents, s.o.Durable, 1)
	return err
}

// Next blocks until there is an outcome or ctx ends. It waits while NATS is unavailable. Errors: that of ctx,
// [ErrNoStream], [nats.ErrPermissionViolation], [nats.ErrConnectionClosed].
func (s *Subscription) Next(ctx context.Context) (Delivery, error) {
	for {
		msg, sequence, err := s.next(ctx)
		if err != nil {
			if ctx.Err() == nil && s.js.Conn().IsClosed() {
				err = nats.ErrConnectionClosed
			}
			return Delivery{}, err
		}
		d := Delivery{msg: msg, conn: s.js.Conn()}
		if s.o.Durable == "" {
			d.msg = nil
		}
		var skipped *Skipped
		if d.Outcome, skipped = readOutcome(msg); skipped == nil {
			return d, nil
		}
		if s.o.Skip != nil {
			skipped.Sequence = sequence
			s.o.Skip(*skipped)
		}
		if err := d.settle(ctx, "+TERM not an outcome"); err != nil && ctx.Err() != nil {
			return Delivery{}, context.Cause(ctx) // otherwise it is delivered, and skipped, again
		}
	}
}

func (s *Subscription) next(ctx context.Context) (*nats.Msg, uint64, error) {
	if s.o.Durable == "" {
		return s.reader.next(ctx)
	}
	for {
		msg, err := s.nextOfDurable(ctx)
		if err == nil {
			var meta *nats.MsgMetadata
			if meta, err = msg.Metadata(); err == nil {
				return msg, meta.Sequence.Stream, nil
			}
		}
		switch {
		case ctx.Err() != nil:
			return nil, 0, context.Cause(ctx)
		case isFinal(s.js.Conn(), err):
			return nil, 0, err
		}
		s.abandon()
		if err := pause(ctx); err != nil {
			return nil, 0, err
		}
	}
}

func (s *Subscription) nextOfDurable(ctx context.Context) (*nats.Msg, error) {
	if s.puller == nil {
		if err := s.open(ctx); err != nil {
			return nil, err
		}
	}
	return s.puller.next(ctx)
}

func (s *Subscription) abandon() {
	if s.puller != nil {
		s.puller.close()
		s.puller = nil
	}
}

// Close ends the reading. A durable consumer stays, with its position. It takes a second at most.
func (s *Subscription) Close() {
	s.abandon()
	s.reader.close(context.Background())
}

// Ack acknowledges an outcome after you have acted upon it, and waits for the server's confirmation. After an error it
// may be delivered again. Without a durable consumer it does nothing.
func (d Delivery) Ack(ctx context.Context) error { return d.settle(ctx, "+ACK") }

// Retry has the outcome delivered again after the delay, as when you could not act upon it.
func (d Delivery) Retry(ctx context.Context, delay time.Duration) error {
	return d.settle(ctx, fmt.Sprintf(`-NAK {"delay": %d}`, max(delay, time.Millisecond).Nanoseconds()))
}

// InProgress prolongs the time until it is delivered again by AckWait, for long work.
func (d Delivery) InProgress(ctx context.Context) error { return d.settle(ctx, "+WPI") }

func (d Delivery) settle(ctx context.Context, word string) error {
	if d.msg == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	_, err := d.conn.RequestWithContext(ctx, d.msg.Reply, []byte(word))
	if err != nil {
		return fmt.Errorf("acknowledge an outcome: %w", explain(d.conn, err, d.msg.Reply))
	}
	return nil
}
