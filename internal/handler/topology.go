package handler

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Topology is the JetStream setup of the provisioner: three streams and a durable consumer. The contract defines their
// names and settings.
type Topology struct {
	Replicas int           // of what is created; existing streams must have at least as many
	Manage   bool          // create what is missing and correct the consumer's numbers; false: only check
	AckWait  time.Duration // of the consumer
	Registry string        // the id of the registry that the streams belong to; empty: it is not compared
	Log      *slog.Logger  // of what is corrected; nil: no log

	// onlyContradictions: of the consumer's numbers only those that contradict the contract are corrected. Replicas with
	// different values of the others, as in a rolling update, would change them back and forth at each check.
	onlyContradictions bool
}

// streams returns the streams as they are created. [streamRules] has which settings must stay so.
func (t Topology) streams() []jetstream.StreamConfig {
	var stamp map[string]string
	if t.Registry != "" {
		stamp = map[string]string{StampMetadata: t.Registry}
	}
	return []jetstream.StreamConfig{
		{
			Metadata: stamp, Description: "Requests for tenants, for tenant-provisioner",
			Name: events.StreamRequests, Subjects: []string{events.TypeRequested},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxAge: 90 * 24 * time.Hour, Discard: jetstream.DiscardNew,
			MaxMsgsPerSubject: -1, // a limit would silently drop old requests
		},
		{
			Metadata: stamp, Description: "Outcomes of requests, by tenant-provisioner",
			Name: events.StreamEvents, Subjects: []string{events.TypeProvisioned, events.TypeProvisioningFailed},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxMsgsPerSubject: -1, Duplicates: outcomeWindow,
		},
		{
			Metadata: stamp, Description: "Failed requests with the reasons, by tenant-provisioner",
			Name: events.StreamDeadLetters, Subjects: []string{events.SubjectDeadLetterPrefix + ">"},
			Retention: jetstream.LimitsPolicy, Storage: jetstream.FileStorage, Replicas: t.Replicas,
			MaxMsgsPerSubject: 1,
			Duplicates:        time.Hour, // when created; an operator may set a shorter one
		},
	}
}

// consumer returns the durable consumer as it is created. It has no BackOff list, which would replace AckWait for the
// first delivery and skew delayed redelivery. [consumerRules] has which settings must stay so.
func (t Topology) consumer() jetstream.ConsumerConfig {
	return jetstream.ConsumerConfig{
		Description: "Requests that no replica of tenant-provisioner has served yet",
		Durable:     events.DurableConsumer, AckPolicy: jetstream.AckExplicitPolicy,
		AckWait: t.AckWait, MaxDeliver: -1,
		MaxAckPending: -1, // messages that wait for a retry count: a limit of 1000 would let them block all others
	}
}

// Ensure creates what is missing and checks what exists. Its error names every setting that contradicts the contract,
// with the required value.
func (t Topology) Ensure(ctx context.Context, js jetstream.JetStream) error {
	_, err := t.ensure(ctx, js, t.ifMissing())
	return err
}

// Check checks what exists, like Ensure, and creates and changes nothing. It returns the stamps of the streams that
// exist; its error names the streams if they belong to different registries.
func (t Topology) Check(ctx context.Context, js jetstream.JetStream) (StreamStamps, error) {
	status := t.Status(ctx, js, time.Now, func(ctx context.Context, request func(context.Context) error) error {
		return ExplainAPIPermission(js, request(ctx))
	})
	var existing []jetstream.StreamConfig
	var faults []error
	for _, stream := range status.Streams {
		switch {
		case stream.Err == nil:
			existing = append(existing, stream.Info.Config)
		case !errors.Is(stream.Err, ErrMissing):
			faults = append(faults, streamFault(stream.Name, stream.Err))
		}
	}
	if len(faults) > 0 {
		return StreamStamps{}, errors.Join(faults...)
	}
	return stampsOf(existing)
}

// streamFault says what is wrong with a stream, and what to do about a contradiction.
func streamFault(name string, err error) error {
	return fmt.Errorf("stream %s: %w", name, withRemedy(err, "nats stream edit "+name))
}

// ifMissing is the error for what is missing; nil: it is created.
func (t Topology) ifMissing() error {
	if t.Manage {
		return nil
	}
	return ErrMissing
}

// ensure is Ensure, and returns what it has read. It creates what is missing only if there is no error for it.
func (t Topology) ensure(
	ctx context.Context, js jetstream.JetStream, ifMissing error,
) (s TopologyStatus, err error) {
	var faults []error
	for _, want := range t.streams() {
		info, err := t.ensureStream(ctx, js, want, ifMissing)
		if err != nil {
			faults = append(faults, streamFault(want.Name, err))
		}
		s.Streams = append(s.Streams, StreamStatus{Name: want.Name, Info: info})
	}
	if len(faults) > 0 {
		return s, ExplainAPIPermission(js, errors.Join(faults...))
	}
	consumer, err := t.ensureConsumer(ctx, js, ifMissing)
	if err != nil {
		err = ExplainAPIPermission(js, withRemedy(err, "nats consumer edit "+DurableName))
		return s, fmt.Errorf("consumer %s on %s: %w", events.DurableConsumer, events.StreamRequests, err)
	}
	s.Consumer.Info = consumer.CachedInfo()
	return s, nil
}

// DurableName names the durable consumer in arguments of the nats CLI.
const DurableName = events.StreamRequests + " " + events.DurableConsumer

// withRemedy adds what to do about a contradiction.
func withRemedy(err error, edit string) error {
	if _, found := errors.AsType[contradictions](err); found {
		return fmt.Errorf("%w; correct it with %s (for settings that cannot be edited, see consumer doctor)", err, edit)
	}
	return err
}

// ErrMissing is the error for a missing stream or consumer if none may be created.
var ErrMissing = errors.New("is missing; create it, or set NATS_MANAGE_STREAMS=true to have it created")

// errRemoved is the error for a missing stream or consumer that is created, but not by this check.
var errRemoved = errors.New("was removed; creating it again")

func (t Topology) ensureStream(
	ctx context.Context, js jetstream.JetStream, want jetstream.StreamConfig, ifMissing error,
) (*jetstream.StreamInfo, error) {
	stream, err := js.Stream(ctx, want.Name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		if ifMissing != nil {
			return nil, ifMissing
		}
		stream, err = createStream(ctx, js, want)
	}
	if err != nil {
		return nil, err
	}
	info := stream.CachedInfo()
	if err := t.checkStamp(info.Config); err != nil {
		return info, err
	}
	return info, streamRules.check(info.Config, want)
}

func (t Topology) ensureConsumer(
	ctx context.Context, js jetstream.JetStream, ifMissing error,
) (jetstream.Consumer, error) {
	consumer, err := js.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound) && ifMissing != nil:
		return nil, ifMissing
	case errors.Is(err, jetstream.ErrConsumerNotFound):
		return t.createConsumer(ctx, js)
	case err != nil:
		return nil, err
	}
	got := consumer.CachedInfo().Config
	if err := t.checkConsumer(got); err != nil {
		return nil, err
	}
	fixed, changes := t.corrected(got)
	if len(changes) == 0 {
		return consumer, nil
	}
	if t.Log != nil {
		t.Log.WarnContext(ctx, "correcting settings of the durable consumer", "changes", strings.Join(changes, "; "))
	}
	return js.UpdateConsumer(ctx, events.StreamRequests, fixed)
}

// checkConsumer returns an error that names every setting that contradicts the contract and that is not corrected.
func (t Topology) checkConsumer(got jetstream.ConsumerConfig) error {
	want := t.consumer()
	want.Replicas = t.Replicas
	fixed, _ := t.corrected(got)
	return consumerRules.check(fixed, want)
}

// corrected returns the settings to give to a consumer that has others, and what changes. Nothing does if it may not be
// changed.
func (t Topology) corrected(got jetstream.ConsumerConfig) (fixed jetstream.ConsumerConfig, changes []string) {
	if !t.Manage {
		return got, nil
	}
	want := t.consumer()
	want.Replicas = t.Replicas
	return consumerRules.corrected(got, want, !t.onlyContradictions)
}

// Corrections lists the settings of the durable consumer that the service changes to those of the contract.
func (t Topology) Corrections(got jetstream.ConsumerConfig) []string {
	_, changes := t.corrected(got)
	return changes
}
