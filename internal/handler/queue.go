package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Queue is the state of the stream of requests and its durable consumer, for all replicas of the service.
type Queue struct {
	Pending     uint64    // requests not delivered yet
	InFlight    int       // delivered, and neither acknowledged nor terminated: running, or waiting for a retry
	Redelivered int       // of those in flight, delivered more than once
	Oldest      time.Time // when the stream stored the oldest request that is pending or in flight; zero: there is none
	Pulls       int       // pull requests that wait at the server; above zero if a replica is free to take a request
	Paused      bool      // by an operator; no requests are delivered

	MaxAge  time.Duration          // of the stream, which drops older messages; 0: no limit
	Cluster *jetstream.ClusterInfo // leader and replicas of the consumer; nil on a single server
}

// Lag is the number of requests that are pending or in flight.
func (q Queue) Lag() uint64 { return q.Pending + uint64(max(q.InFlight, 0)) }

// Age is how long the oldest request that is pending or in flight has waited at the given time; 0 if there is none.
func (q Queue) Age(now time.Time) time.Duration {
	if q.Oldest.IsZero() {
		return 0
	}
	return max(now.Sub(q.Oldest), 0)
}

// ReadQueue reads the queue from the server. It changes nothing, and blocks until the server answers or ctx ends.
func ReadQueue(ctx context.Context, js jetstream.JetStream) (q Queue, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("read the queue of requests: %w", ExplainAPIPermission(js, err))
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
	q = QueueOf(info)
	q.MaxAge = stream.CachedInfo().Config.MaxAge
	if q.Lag() == 0 {
		return q, nil
	}
	q.Oldest, err = readOldest(ctx, js, info)
	return q, err
}

// QueueOf returns what the durable consumer knows of the queue: all but the oldest request and the stream's MaxAge.
func QueueOf(info *jetstream.ConsumerInfo) Queue {
	return Queue{
		Pending: info.NumPending, InFlight: info.NumAckPending, Redelivered: info.NumRedelivered, Pulls: info.NumWaiting,
		Paused: info.Paused, Cluster: info.Cluster,
	}
}

// readOldest reads when the stream stored the oldest request that is pending or in flight: the first one above the
// acknowledgement floor. It returns the zero time if that was acknowledged, or dropped, just now.
func readOldest(
	ctx context.Context, js jetstream.JetStream, consumer *jetstream.ConsumerInfo,
) (stored time.Time, err error) {
	// Messages in between may have been removed, or be another consumer's.
	oldest, err := GetMessage(ctx, js, events.StreamRequests,
		StoredMessage{Sequence: consumer.AckFloor.Stream + 1, NextFor: cmp.Or(consumer.Config.FilterSubject, ">")})
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, err
	}
	return oldest.Time, nil
}
