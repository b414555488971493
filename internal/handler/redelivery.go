package handler

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

// recreateInterval is the time in which the consumer is recreated once at most: if that does not help, it never will.
const recreateInterval = 10 * time.Minute

// redelivery observes whether the server redelivers requests when they are due. One goroutine at a time uses it.
type redelivery struct {
	harmless  time.Time // times of the future up to this one: nothing was in flight when they were seen
	recreated time.Time // when this process last tried to recreate the consumer
	cannotFix error     // why that failed

	still deliveryState // what the consumer had delivered
	since time.Time     // when it first had that state
}

// tooSoon returns an error if the consumer was recreated, or that was tried, within the last recreateInterval.
func (r *redelivery) tooSoon() error {
	if r.recreated.IsZero() || time.Since(r.recreated) >= recreateInterval {
		return nil
	}
	return cmp.Or(r.cannotFix, fmt.Errorf("it was recreated at %s, which did not help", r.recreated.Format(time.RFC3339)))
}

// deliveryState changes with each delivery, and with nearly each acknowledgement.
type deliveryState struct {
	delivered, floor uint64
	inFlight         int
}

// withheld returns why the server withholds requests that were delivered and must be redelivered; nil if it does not.
// It adds the oldest request in flight to s. There are two signs: a time of the future, and that nothing is redelivered
// although this replica waits for requests and works on none. The second one also finds deliveries of a time that
// nothing shows any more, later.
func (h *Handler) withheld(ctx context.Context, s *TopologyStatus) error {
	r, info := &h.redelivery, s.Consumer.Info
	// Without the oldest request there are other signs.
	s.Consumer.addOldest(ctx, h.JetStream) //nolint:errcheck // see above
	if info.NumAckPending == 0 {
		r.harmless = s.latest().At
	}
	if future, found := s.Withholding(); found && future.At.After(r.harmless) {
		return fmt.Errorf("a clock was ahead: %s; the server may withhold %d requests that it delivered then, until its "+
			"clock has caught up", future, info.NumAckPending)
	}
	now := deliveryState{info.Delivered.Consumer, info.AckFloor.Consumer, info.NumAckPending}
	idle := info.NumAckPending > 0 && !info.Paused && h.InFlight() == 0 && h.breaker.err() == nil
	if !idle || now != r.still {
		r.still, r.since = now, time.Now()
		return nil
	}
	// A request waits for at most that long between two deliveries.
	if due := info.Config.AckWait + h.Backoff.Max + 2*h.CheckInterval; time.Since(r.since) > due {
		return fmt.Errorf("since %s the server has redelivered none of %d requests in flight: probably its clock was "+
			"ahead when it delivered them, or another replica still holds them", r.since.Format(time.RFC3339),
			info.NumAckPending)
	}
	return nil
}
