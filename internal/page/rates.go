package page

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/events"
)

const (
	// deleteTimeout is the timeout for deleting a counting consumer, even after the source's own timeout.
	deleteTimeout = 500 * time.Millisecond
	// forgottenAfter is when the server removes a counting consumer that could not be deleted.
	forgottenAfter = 10 * time.Second
)

// rates are counts of outcomes in windows of time that end now.
type rates struct {
	Windows []window
	// Since is set if the stream has dropped outcomes within the longest window: it is the time of the first one left.
	Since time.Time
}

// window is a span of time and the outcomes in it.
type window struct {
	Minutes             int
	Provisioned, Failed uint64
}

// ProvisionedRate is per minute.
func (w window) ProvisionedRate() float64 { return float64(w.Provisioned) / float64(w.Minutes) }

// FailedRate is per minute.
func (w window) FailedRate() float64 { return float64(w.Failed) / float64(w.Minutes) }

// readRates counts without reading: the server reports how many messages are pending for a consumer with a start time.
func (p *Page) readRates(ctx context.Context, js jetstream.JetStream, _ rates) (rates, error) {
	now := p.Now()
	r := rates{Windows: []window{{Minutes: 1}, {Minutes: 5}, {Minutes: 60}}}
	stream, err := js.Stream(ctx, events.StreamEvents)
	if err != nil {
		return r, fmt.Errorf("stream %s: %w", events.StreamEvents, err)
	}
	state := stream.CachedInfo().State
	longest := r.Windows[len(r.Windows)-1]
	if state.FirstSeq > 1 && state.FirstTime.After(now.Add(-longest.length())) {
		r.Since = state.FirstTime.UTC()
	}
	err = countWindows(ctx, r.Windows, now, func(ctx context.Context, subject string, since time.Time) (uint64, error) {
		return count(ctx, js, subject, since)
	})
	if err != nil {
		return r, fmt.Errorf("count in stream %s: %w", events.StreamEvents, err)
	}
	return r, nil
}

// countWindows fills the counters of all windows in parallel.
func countWindows(
	ctx context.Context, windows []window, now time.Time,
	count func(ctx context.Context, subject string, since time.Time) (uint64, error),
) error {
	group, ctx := errgroup.WithContext(ctx)
	for i := range windows {
		w := &windows[i]
		// Not in the goroutines: a method with a value receiver copies the window, also the counter that a sibling writes.
		since := now.Add(-w.length())
		for subject, n := range map[string]*uint64{
			events.TypeProvisioned: &w.Provisioned, events.TypeProvisioningFailed: &w.Failed,
		} {
			group.Go(func() (err error) {
				*n, err = count(ctx, subject, since)
				return err
			})
		}
	}
	return group.Wait()
}

func (w window) length() time.Duration { return time.Duration(w.Minutes) * time.Minute }

// count returns how many messages on a subject the stream of outcomes holds since a time.
func count(ctx context.Context, js jetstream.JetStream, subject string, since time.Time) (uint64, error) {
	consumer, err := js.CreateConsumer(ctx, events.StreamEvents, jetstream.ConsumerConfig{
		Description:   "Counter of " + js.Conn().Opts.Name,
		DeliverPolicy: jetstream.DeliverByStartTimePolicy, OptStartTime: &since,
		FilterSubject: subject, HeadersOnly: true,
		AckPolicy: jetstream.AckNonePolicy, MemoryStorage: true, Replicas: 1, InactiveThreshold: forgottenAfter,
	})
	if err != nil {
		return 0, err
	}
	info := consumer.CachedInfo()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), deleteTimeout)
	defer cancel()
	js.DeleteConsumer(ctx, events.StreamEvents, info.Name) //nolint:errcheck // if this fails, the consumer expires
	return info.NumPending, nil
}
