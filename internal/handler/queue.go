package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Queue is the state of the stream of requests and its durable consumer, of all replicas of the program together.
type Queue struct {
	Pending     uint64    // requests that were never delivered yet
	InFlight    int       // delivered, and neither acknowledged nor ended: at work, or waiting for their delay
	Redelivered int       // of those, delivered more than once
	Oldest      time.Time // when the stream took the oldest request that is not settled; zero: all are
	Pulls       int       // pull requests that wait at the server: above zero where a program takes requests
	Paused      bool      // by an operator; nobody is given requests

	MaxAge  time.Duration          // of the stream: what is older is dropped; 0: nothing is
	Cluster *jetstream.ClusterInfo // leader and replicas of the consumer; nil on a single server
}

// Lag is the number of requests that are not settled.
func (q Queue) Lag() uint64 { return q.Pending + uint64(max(q.InFlight, 0)) }

// Age is how long the oldest request that is not settled has waited by then; 0 where all are settled.
func (q Queue) Age(now time.Time) time.Duration {
	if q.Oldest.IsZero() {
		return 0
	}
	return max(now.Sub(q.Oldest), 0)
}

// ReadQueue asks the server. It changes nothing, and blocks until it is answered or ctx ends.
func ReadQueue(ctx context.Context, js jetstream.JetStream) (q Queue, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the queue of requests: %w", ExplainAPIPermission(js.Conn(), err))
		}
	}()
	stream, err := js.Stream(ctx, events.StreamRequests)
	if err != nil {
		return q, err
	}
	consumer, err := stream.Consumer(ctx, events.DurableConsumer)
	if err != nil {
		return q, err
	}
	info := consumer.CachedInfo()
	q = Queue{
		Pending: info.NumPending, InFlight: info.NumAckPending, Redelivered: info.NumRedelivered, Pulls: info.NumWaiting,
		Paused: info.Paused, MaxAge: stream.CachedInfo().Config.MaxAge, Cluster: info.Cluster,
	}
	if q.Lag() == 0 {
		return q, nil
	}
	// The first one above what is settled; those between may have been removed.
	oldest, err := GetMessage(ctx, js, events.StreamRequests,
		StoredMessage{Sequence: info.AckFloor.Stream + 1, NextFor: events.TypeRequested})
	if errors.Is(err, jetstream.ErrMsgNotFound) { // it was settled, or dropped, just now
		return q, nil
	}
	if err != nil {
		return q, err
	}
	q.Oldest = oldest.Time
	return q, nil
}
