package client

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// clockTolerance is how much earlier than its request an outcome may seem to be stored: the two streams may be on
// servers whose clocks differ.
const clockTolerance = 10 * time.Second

// lookBack is a request whose outcome may be in the stream already.
type lookBack struct {
	*pending
	sequence uint64 // in the stream of requests; 0: unknown
}

func (c *Client) lookBack(p *pending, sequence uint64) {
	c.mu.Lock()
	c.lookBacks = append(c.lookBacks, lookBack{p, sequence})
	c.mu.Unlock()
	select {
	case c.earlier <- struct{}{}:
	default: // it will see this one too
	}
}

// lookBackForRepeats looks back for the requests whose outcome is only published to its subject.
func (c *Client) lookBackForRepeats() {
	c.mu.Lock()
	var all []lookBack
	for _, some := range c.waiting {
		for _, p := range some {
			if p.original > 0 {
				all = append(all, lookBack{p, p.original})
			}
		}
	}
	c.mu.Unlock()
	for _, l := range all {
		c.lookBack(l.pending, l.sequence)
	}
}

// readEarlier reads earlier outcomes, once for all requests that wait for them in the meantime. After the connection
// was lost, repeated requests are among them.
func (c *Client) readEarlier(ctx context.Context, connected <-chan nats.Status) {
	for {
		select {
		case <-c.earlier:
		case <-connected:
			c.lookBackForRepeats()
			continue
		case <-ctx.Done():
			return
		}
		c.mu.Lock()
		all := c.lookBacks
		c.lookBacks = nil
		c.mu.Unlock()
		if len(all) == 0 { // those of this signal were read with the ones before
			continue
		}
		err := c.readAll(ctx, all)
		for err != nil && ctx.Err() == nil && !isFinal(c.js.Conn(), err) {
			if pause(ctx) == nil {
				err = c.readAll(ctx, all)
			}
		}
		if err != nil {
			for _, l := range all {
				c.finish(l.pending, Outcome{}, err)
			}
		}
	}
}

// readAll reads the outcomes that the stream has, from the oldest of the requests on.
func (c *Client) readAll(ctx context.Context, all []lookBack) error {
	from := newReader(c.js)
	since, err := c.oldest(ctx, all)
	if err != nil {
		return err
	}
	if !since.IsZero() {
		from.startSince(since.Add(-clockTolerance))
	}
	end, err := from.nextSequence(ctx) // what is stored later, follow reads
	if err != nil {
		return err
	}
	if end == 1 {
		return nil
	}
	defer from.close(ctx)
	if err := from.open(ctx); err != nil {
		return err
	}
	open := map[*pending]bool{}
	for _, l := range all {
		open[l.pending] = true
	}
	maps.DeleteFunc(open, func(p *pending, _ bool) bool { return !c.isWaiting(p) }) // its Await has ended
	failures := map[*pending]Outcome{}
	for sequence := uint64(0); len(open) > 0 && from.pending > 0 && sequence+1 < end; {
		var msg *nats.Msg
		if msg, sequence, err = from.next(ctx); err != nil {
			return err
		}
		o, skipped := readOutcome(msg)
		if skipped != nil {
			continue
		}
		for _, p := range c.waitingFor(o) {
			switch {
			case !open[p]:
			case o.Provisioned != nil: // final
				c.finish(p, o, nil)
				delete(open, p)
			case failures[p].Failed == nil || failures[p].Replay() < o.Replay():
				failures[p] = o
			}
		}
	}
	for p, o := range failures {
		c.finish(p, o, nil)
	}
	return nil
}

// oldest is when the first of the requests was stored; zero: unknown.
func (c *Client) oldest(ctx context.Context, all []lookBack) (time.Time, error) {
	first := all[0].sequence
	for _, l := range all {
		first = min(first, l.sequence)
	}
	if first == 0 {
		return time.Time{}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, apiTimeout)
	defer cancel()
	stream, err := c.js.Stream(ctx, events.StreamRequests)
	if err == nil {
		var msg *jetstream.RawStreamMsg
		if msg, err = stream.GetMsg(ctx, first); err == nil {
			return msg.Time, nil
		}
	}
	switch {
	case errors.Is(err, jetstream.ErrMsgNotFound): // removed, as after its maximum age
		return time.Time{}, nil
	case errors.Is(err, jetstream.ErrStreamNotFound):
		return time.Time{}, noStream(events.StreamRequests)
	}
	err = explain(c.js.Conn(), err, apiSubject(c.js, ""))
	return time.Time{}, fmt.Errorf("read when request %d was stored: %w", first, err)
}
