package handler

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// Metadata of a consumer that the service has recreated.
const (
	// startMetadata is the sequence at which the consumer starts. All requests before it were settled.
	startMetadata = "tenant-provisioner.start-sequence"
	// timesMetadata is the latest time of the future that streams and consumer showed: no later consumer needs to be made
	// because of it.
	timesMetadata = "tenant-provisioner.times-until"
)

// recreate deletes the durable consumer and creates it again at its acknowledged floor, so that the server delivers at
// once what it withholds. No request is lost: the stream keeps them (its retention is limits), each one before the
// floor is settled, and for one that is delivered again the ledger has the outcome or the attempt. That also holds if
// several replicas do it at once, or one dies in between: then a consumer starts at an earlier floor, or at the first
// request.
func (h *Handler) recreate(ctx context.Context, s TopologyStatus, why error) error {
	if err := h.redelivery.tooSoon(); err != nil {
		return err
	}
	if err := sleep(ctx, h.serverBackoff.Delay(1)); err != nil { // replicas that find it together do not act together
		return err
	}
	consumer, err := h.JetStream.Consumer(ctx, events.StreamRequests, events.DurableConsumer)
	if errors.Is(err, jetstream.ErrConsumerNotFound) { // another replica is just doing it
		return fmt.Errorf("the durable consumer %w", errRemoved)
	}
	if err != nil {
		return err
	}
	info := consumer.CachedInfo()
	if !info.Created.Equal(s.Consumer.Info.Created) { // another replica has done it
		return nil
	}
	h.redelivery.recreated = time.Now()
	config := fromFloor(info, s.Streams[0].Info.State.LastSeq, s.latest().At)
	h.Log.WarnContext(ctx, "recreating the durable consumer at its acknowledged floor", "reason", why,
		"start_sequence", max(config.OptStartSeq, 1))
	return replaceConsumer(ctx, h.JetStream, config)
}

const (
	replaceTries = 5
	replacePause = 100 * time.Millisecond // before the second try; it grows with each
)

// replaceConsumer deletes the durable consumer and creates it again with these settings. If another process does that
// at the same time, the server may read the state of the deleted one into the new one, because it removes files later
// (nats-server 2.15.2, consumer.stopWithFlags). The new one would then withhold requests again, so it is replaced.
func replaceConsumer(ctx context.Context, js jetstream.JetStream, config jetstream.ConsumerConfig) error {
	for try := range replaceTries {
		if err := sleep(ctx, time.Duration(try)*replacePause); err != nil {
			return err
		}
		err := js.DeleteConsumer(ctx, events.StreamRequests, events.DurableConsumer)
		if err != nil && !errors.Is(err, jetstream.ErrConsumerNotFound) {
			return fmt.Errorf("delete the durable consumer: %w", ExplainAPIPermission(js, err))
		}
		created, err := js.CreateConsumer(ctx, events.StreamRequests, config)
		switch {
		case errors.Is(err, jetstream.ErrConsumerExists): // another process was faster
			return nil
		case err != nil:
			return fmt.Errorf("recreate the durable consumer: %w", ExplainAPIPermission(js, err))
		case !hasEarlierState(created.CachedInfo()):
			return nil
		}
	}
	return fmt.Errorf("recreate the durable consumer: after %d tries it still has the state of the one that was deleted",
		replaceTries)
}

// hasEarlierState reports whether a consumer that was just created has delivered messages at no time: it has read the
// state of an earlier one.
func hasEarlierState(info *jetstream.ConsumerInfo) bool {
	return info.Delivered.Consumer > 0 && info.Delivered.Last == nil
}

// fromFloor returns the settings of a consumer that starts behind the acknowledged floor of this one. lastSequence is
// the stream's, latest is the latest time of the future.
func fromFloor(info *jetstream.ConsumerInfo, lastSequence uint64, latest time.Time) jetstream.ConsumerConfig {
	config, floor := info.Config, info.AckFloor.Stream
	config.Metadata = maps.Clone(config.Metadata)
	if config.Metadata == nil {
		config.Metadata = map[string]string{}
	}
	if latest.After(handledTime(config)) {
		config.Metadata[timesMetadata] = latest.UTC().Format(time.RFC3339Nano)
	}
	config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverAllPolicy, 0
	delete(config.Metadata, startMetadata)
	if floor > 0 && floor <= lastSequence { // else the stream was restored: its messages may not be those before the floor
		config.DeliverPolicy, config.OptStartSeq = jetstream.DeliverByStartSequencePolicy, floor+1
		config.Metadata[startMetadata] = strconv.FormatUint(floor+1, 10)
	}
	return config
}

// ContinueOnCopy returns the settings of a consumer on a copy of its stream. It starts behind the acknowledged floor in
// info, which is older than the copy: what was acknowledged above it is delivered again. lastSequence is the copy's.
func ContinueOnCopy(info *jetstream.ConsumerInfo, lastSequence uint64) jetstream.ConsumerConfig {
	return fromFloor(info, lastSequence, time.Time{})
}

// isRecreated reports whether the service itself has created the consumer with its start sequence.
func isRecreated(c jetstream.ConsumerConfig) bool {
	return c.DeliverPolicy == jetstream.DeliverByStartSequencePolicy && c.OptStartSeq > 0 &&
		c.Metadata[startMetadata] == strconv.FormatUint(c.OptStartSeq, 10)
}

// handledTime returns the time in timesMetadata, or the zero time if the consumer does not have it.
func handledTime(c jetstream.ConsumerConfig) time.Time {
	at, err := time.Parse(time.RFC3339Nano, c.Metadata[timesMetadata])
	if err != nil {
		return time.Time{}
	}
	return at
}
