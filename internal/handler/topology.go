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

// Topology is what the provisioner needs of JetStream: three streams and a durable consumer. Their names
// and settings are the contract's.
type Topology struct {
	Replicas int           // of what is created; what exists must have at least as many
	Manage   bool          // create what is missing; false: only check
	AckWait  time.Duration // of the consumer
}

// streams are the settings that the contract fixes; all others are the operator's.
func (t Topology) streams() []jetstream.StreamConfig {
	return []jetstream.StreamConfig{
		{
			Name: events.StreamRequests, Subjects: []string{events.TypeRequested},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxAge: 90 * 24 * time.Hour, Discard: jetstream.DiscardNew,
			MaxMsgsPerSubject: -1, // a limit would drop old requests, and nobody would learn of it
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
			Duplicates:        time.Hour, // of what is made; a shorter one is the operator's choice
		},
	}
}

// consumer is the durable consumer. It has no BackOff list: one replaces AckWait for the first delivery
// and skews delayed redelivery.
func (t Topology) consumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Durable: events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: t.AckWait, MaxDeliver: -1,
		MaxAckPending: -1, // what waits for its delay counts: a thousand of those would stop all others
	}
}

// Ensure creates what is missing, checks what is there, and returns the consumer. Its error names every
// setting that contradicts the contract, and what it must be.
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

// ErrMissing is what is found missing where nothing may be created.
var ErrMissing = errors.New("is missing; create it, or set NATS_MANAGE_STREAMS=true to have it created")

func (t Topology) ensureStream(ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig) error {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if !t.Manage {
			return ErrMissing
		}
		stream, err = js.CreateStream(ctx, want)
		if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) { // by another replica, just now
			stream, err = js.Stream(ctx, want.Name)
		}
	}
	if err != nil {
		return err
	}
	return checkStream(stream.CachedInfo().Config, want)
}

// minMsgSize is what an outcome may take, in bytes.
const minMsgSize = 128 << 10

// checkStream names every setting of got that contradicts want.
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

// checkConsumer names every setting that contradicts the contract.
func checkConsumer(got jetstream.ConsumerConfig) error {
	var c contradictions
	c.compare("ack_policy", got.AckPolicy, jetstream.AckExplicitPolicy)
	c.compare("max_deliver", got.MaxDeliver, -1)
	c.compare("number of backoff entries", len(got.BackOff), 0)
	c.compare("headers_only", got.HeadersOnly, false)
	c.compare("deliver_policy", got.DeliverPolicy, jetstream.DeliverAllPolicy) // any other passes requests over
	c.compare("deliver_subject", got.DeliverSubject, "")
	if f := got.FilterSubject; f != "" {
		c.compare("filter_subject", f, events.TypeRequested)
	}
	c.compare("filter_subjects", len(got.FilterSubjects), 0)
	return c.err()
}

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }

// contradictions collects settings that are not what they must be.
type contradictions []error

func (c *contradictions) compare(field string, got, want any) {
	if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
		*c = append(*c, fmt.Errorf("%s is %s, must be %s", field, g, w))
	}
}

// err is one line: a prefix that names the stream stands before all of it.
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
