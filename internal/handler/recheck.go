package handler

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// defaultCheckInterval is the time between two checks of streams and consumer: others edit them while the service
	// runs. A request that is delivered in between may still be decided, so it is short.
	defaultCheckInterval = 5 * time.Second
	// maxUnchecked is how long checks may fail, as while a cluster elects leaders, before the service is not ready.
	maxUnchecked = time.Minute
)

// prepareToPull ensures that streams and consumer are as the contract says, that they and the database belong together,
// and that the server withholds nothing.
func (h *Handler) prepareToPull(ctx context.Context) error {
	found, err := h.Topology.ensure(ctx, h.JetStream, h.Topology.ifMissing())
	if err != nil {
		return err
	}
	if err := CheckAhead(ctx, h.JetStream, found); err != nil {
		return err
	}
	if err := h.guarded(ctx); err != nil {
		return err
	}
	why := h.withheld(ctx, &found)
	if why != nil && h.Topology.Manage {
		failed := h.recreate(ctx, found, why)
		if errors.Is(failed, errRemoved) {
			return failed
		}
		if h.redelivery.cannotFix = failed; failed == nil {
			if found, err = h.Topology.ensure(ctx, h.JetStream, nil); err != nil {
				return err
			}
			why, h.redelivery.since = nil, time.Now()
		}
	}
	h.checked(found, why)
	return nil
}

// recheck checks streams and consumer at regular intervals until ctx ends. It calls stop if no requests must be taken
// until something is corrected.
func (h *Handler) recheck(ctx context.Context, stop context.CancelCauseFunc) {
	ticker := time.NewTicker(h.CheckInterval)
	defer ticker.Stop()
	last, guarded := time.Now(), time.Now()
	topology := h.Topology
	topology.onlyContradictions = true
	for {
		select {
		case <-ticker.C:
		case <-h.doubt:
		case <-ctx.Done():
			return
		}
		// Intake creates what is missing, after a delay: another replica may be recreating the consumer.
		found, err := topology.ensure(ctx, h.JetStream, cmp.Or(topology.ifMissing(), errRemoved))
		switch {
		case ctx.Err() != nil:
			return
		case isContradiction(err):
			stop(err)
			return
		case err == nil:
			last = time.Now()
			if err = CheckAhead(ctx, h.JetStream, found); err == nil && time.Since(guarded) >= h.GuardInterval {
				err, guarded = h.guarded(ctx), time.Now() // what cannot be read is reported where it is needed
			}
			if errors.Is(err, ErrRestored) {
				stop(err)
				return
			}
			why := h.withheld(ctx, &found)
			if why != nil && h.Topology.Manage && h.redelivery.tooSoon() == nil {
				stop(why)
				return
			}
			h.checked(found, why)
		case time.Since(last) > maxUnchecked:
			h.unserved.failing(fmt.Errorf("streams and consumer cannot be checked: %w", err))
		}
	}
}

// doubtSettings has the settings checked at once, because a message arrived that contradicts them.
func (h *Handler) doubtSettings() {
	select {
	case h.doubt <- struct{}{}:
	default: // the check is due already
	}
}

// checked records what a check has found. withheld is why the server withholds requests, or nil.
func (h *Handler) checked(found TopologyStatus, withheld error) {
	info := found.Consumer.Info
	h.ackWait.Store(int64(info.Config.AckWait))
	var why error
	switch {
	case withheld != nil && h.Topology.Manage:
		why = fmt.Errorf("%w; the consumer could not be recreated: %w", withheld,
			cmp.Or(h.redelivery.tooSoon(), h.redelivery.cannotFix))
	case withheld != nil:
		why = fmt.Errorf("%w; nats consumer rm %s, and create it again as it was: the ledger has the requests that were "+
			"served", withheld, DurableName)
	case info.Paused:
		why = fmt.Errorf("the consumer is paused until %s (pause_until); nats consumer resume %s",
			info.TimeStamp.Add(info.PauseRemaining).Format(time.RFC3339), DurableName)
	default:
		h.unserved.succeeded()
		return
	}
	h.unserved.failing(why)
}
