package handler

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Topology is the JetStream setup of the provisioner: three streams and a durable consumer. The contract defines their
// names and settings.
type Topology struct {
	Replicas int           // of what is created; existing streams must have at least as many
	Manage   bool          // create what is missing; false: only check
	AckWait  time.Duration // of the consumer
}

// streams returns the settings that the contract fixes; all others are the operator's.
func (t Topology) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: events.StreamRequests, Subjects: []string{events.TypeRequested},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxAge: 90 * 24 * time.Hour, Discard: jetstream.DiscardNew,
			MaxMsgsPerSubject: -1, // a limit would silently drop old requests
		},
		{
			Name: events.StreamEvents, Subjects: []string{events.TypeProvisioned, events.TypeProvisioningFailed},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			Duplicates: time.Hour,
		},
		{
			Name: events.StreamDeadLetters, Subjects: []string{events.SubjectDeadLetterPrefix + ">"},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxMsgsPerSubject: 1,
			Duplicates:        time.Hour, // when created; an operator may set a shorter one
		},
	}
}

// consumer returns the durable consumer. It has no BackOff list, which would replace AckWait for the first delivery and
// skew delayed redelivery.
func (t Topology) consumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: t.AckWait, MaxDeliver: -1,
		MaxAckPending: -1, // messages that wait for a retry count: a limit of 1000 would let them block all others
	}
}

// Ensure creates what is missing, checks what exists, and returns the consumer. Its error names every setting that
// contradicts the contract, with the required value.
func (t Topology) Ensure(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	var faults []error
	for _, want := range t.streams() {
		if err := t.ensureStream(ctx, js, want); err != nil {
			faults = append(faults, fmt.Errorf("stream %s: %w", want.Name, err))
		}
	}
	if len(faults) > 0 {
		return nil, ExplainAPIPermission(js.Conn(), errors.Join(faults...))
	}
	consumer, err := t.ensureConsumer(ctx, js)
	if err != nil {
		err = ExplainAPIPermission(js.Conn(), err)
		return nil, fmt.Errorf("consumer %s on %s: %w", events.DurableConsumer, events.StreamRequests, err)
	}
	return consumer, nil
}

// ErrMissing is the error for a missing stream or consumer if none may be created.
var ErrMissing = errors.New("is missing; create it, or set NATS_MANAGE_STREAMS=true to have it created")

func (t Topology) ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !t.Manage {
			return ErrMissing
		}
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // another replica has just created it
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return err
	}
	return checkStream(stream.CachedInfo().Config, want)
}

// minMsgSize is the maximum size of an outcome, in bytes.
const minMsgSize = 128 << 10

// checkStream returns an error that names every setting of got that contradicts want.
func checkStream(got, want jetstream.StreamConfig) error {
	var c contradictions
	c.compare("subjects", sorted(got.Subjects), sorted(want.Subjects))
	c.compare("retention", got.Retention, want.Retention)
	c.compare("storage", got.Storage, want.Storage)
	c.compare("discard", got.Discard, want.Discard)
	c.compare("no_ack", got.NoAck, false)
	if want.MaxAge != 0 {
		c.compare("max_age", got.MaxAge, want.MaxAge)
	}
	if want.Name == events.StreamEvents {
		c.compare("duplicate_window", got.Duplicates, want.Duplicates)
	}
	if want.MaxMsgsPerSubject != 0 {
		c.compare("max_msgs_per_subject", got.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
	}
	if want.Name == events.StreamEvents && got.MaxMsgSize > 0 && got.MaxMsgSize < minMsgSize {
		c.compare("max_msg_size", got.MaxMsgSize, fmt.Sprint("unlimited, or at least ", minMsgSize))
	}
	if got.Replicas < want.Replicas {
		c.compare("num_replicas", got.Replicas, want.Replicas)
	}
	return c.err()
}

func (t Topology) ensureConsumer(ctx context.Context, js jetstream.JetStream) (jetstream.Consumer, error) {
	want := t.consumer()
	consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && !t.Manage:
		return nil, ErrMissing
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return js.CreateOrUpdateConsumer(ctx, events.StreamRequests, want)
	case err != nil:
		return nil, err
	}
	got := consumer.CachedInfo().Config
	if err := checkConsumer(got); err != nil {
		return nil, err
	}
	if t.Manage && (got.AckWait != want.AckWait || got.MaxAckPending != want.MaxAckPending) {
		got.AckWait, got.MaxAckPending = want.AckWait, want.MaxAckPending
		return js.UpdateConsumer(ctx, events.StreamRequests, got)
	}
	return consumer, nil
}

// checkConsumer returns an error that names every setting that contradicts the contract.
func checkConsumer(got jetstream.ConsumerConfig) error {
	var c contradictions
	c.compare("ack_policy", got.AckPolicy, jetstream.AckExplicitPolicy)
	c.compare("max_deliver", got.MaxDeliver, -1)
	c.compare("number of backoff entries", len(got.BackOff), 0)
	c.compare("headers_only", got.HeadersOnly, false)
	c.compare("deliver_policy", got.DeliverPolicy, jetstream.DeliverAllPolicy) // any other skips requests
	c.compare("deliver_subject", got.DeliverSubject, "")
	if f := got.FilterSubject; f != "" {
		c.compare("filter_subject", f, events.TypeRequested)
	}
	c.compare("filter_subjects", len(got.FilterSubjects), 0)
	return c.err()
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// contradictions collects settings with a wrong value.
type contradictions []error

func (c *contradictions) compare(field string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		*c = append(*c, fmt.Errorf("%s is %s, must be %s", field, g, w))
	}
}

// err joins all contradictions in one line, because the caller adds the name of the stream as a prefix.
func (c contradictions) err() error {
	if len(c) == 0 {
		return nil
	}
	texts := make([]string, len(c))
	for i, err := range c {
		texts[i] = err.Error()
	}
	return errors.New(strings.Join(texts, "; "))
}
