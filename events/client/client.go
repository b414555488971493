package client

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

var (
	// ErrOtherTenant means that source and id identify an earlier request, for another tenant. This one was not made:
	// choose another id.
	ErrOtherTenant = errors.New("source and id identify an earlier request, for another tenant")
	// ErrClosed means that the client was closed.
	ErrClosed = errors.New("the client is closed")
)

// Client publishes requests and awaits their outcomes. It may be used by many goroutines at the same time.
type Client struct {
	js       jetstream.JetStream
	reader   *reader
	subjects []*nats.Subscription
	stop     func()
	ended    sync.WaitGroup
	failed   chan struct{} // closed when no more outcomes are received; then err is set
	earlier  chan struct{} // receives when lookBacks has something

	mu        sync.Mutex
	waiting   map[string][]*pending // by the key of the request
	lookBacks []lookBack
	err       error
}

// pending is a request whose outcome is not known yet. A request has one in all cases, so that pendings do not pile up.
type pending struct {
	source, id string
	original   uint64        // where the stream of requests had it already; 0: it is a new one
	done       chan struct{} // closed when outcome or err is set
	outcome    Outcome
	err        error
}

// Open returns a client that follows the outcomes from now on. It returns when it does. The caller closes it. Errors:
// [ErrNoStream], [nats.ErrPermissionViolation], or that of ctx, whose end does not end the client.
func Open(ctx context.Context, js jetstream.JetStream) (*Client, error) {
	c := &Client{
		js: js, reader: newReader(js), failed: make(chan struct{}), earlier: make(chan struct{}, 1),
		waiting: map[string][]*pending{},
	}
	if err := c.reader.startAtEnd(ctx); err != nil {
		return nil, err
	}
	if err := c.reader.open(ctx); err != nil {
		c.reader.close(ctx)
		return nil, err
	}
	following, stop := context.WithCancelCause(context.WithoutCancel(ctx))
	c.stop = func() { stop(ErrClosed) }
	c.ended.Go(func() {
		defer c.reader.close(following)
		c.follow(following)
	})
	// The outcome of a request that was decided before is published again under the same id. The stream drops that as a
	// duplicate; its subject has it. The server has these subscriptions before any request: both use one connection.
	for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
		sub, err := js.Conn().Subscribe(subject, c.receive)
		if err != nil {
			c.Close()
			return nil, fmt.Errorf("subscribe to %s: %w", subject, err)
		}
		c.subjects = append(c.subjects, sub)
	}
	connected := js.Conn().StatusChanged(nats.CONNECTED)
	c.ended.Go(func() {
		defer js.Conn().RemoveStatusListener(connected)
		c.readEarlier(following, connected)
	})
	return c, nil
}

// Close ends the client; calls of Await return [ErrClosed]. The connection stays open. It takes a second at most.
func (c *Client) Close() {
	c.stop()
	for _, sub := range c.subjects {
		sub.Unsubscribe() //nolint:errcheck // it fails only if the connection or the subscription has ended
	}
	c.ended.Wait()
}

// follow reads the stream: what is published while the connection is lost does not reach the subscriptions, and a user
// may lack the permission for them.
func (c *Client) follow(ctx context.Context) {
	for {
		msg, _, err := c.reader.next(ctx)
		if err != nil {
			c.mu.Lock()
			c.err = err
			c.mu.Unlock()
			close(c.failed)
			return
		}
		c.receive(msg)
	}
}

// receive gives an outcome to those that wait for it. The first that is published after the request counts: it is that
// of the highest replay so far.
func (c *Client) receive(msg *nats.Msg) {
	o, skipped := readOutcome(msg)
	if skipped != nil {
		return
	}
	for _, p := range c.waitingFor(o) {
		c.finish(p, o, nil)
	}
}

// waitingFor returns the requests that the outcome decides.
func (c *Client) waitingFor(o Outcome) (all []*pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if key := o.Key(); key != "" {
		all = slices.Clone(c.waiting[key])
	} else {
		for _, some := range c.waiting {
			all = append(all, some...)
		}
	}
	return slices.DeleteFunc(all, func(p *pending) bool { return !o.decidesRequest(p.source, p.id) })
}

// expect registers a request, before its outcome can be published.
func (c *Client) expect(r Receipt) *pending {
	p := &pending{source: r.Source, id: r.ID, done: make(chan struct{})}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.waiting[r.Key()] = append(c.waiting[r.Key()], p)
	return p
}

// repeats notes that the stream had the request already. The service publishes its outcome again, but the stream drops
// that: if the connection is lost at that moment, only the first publication has it.
func (c *Client) repeats(p *pending, sequence uint64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p.original = sequence
}

// forget removes a request. It reports whether it was there.
func (c *Client) forget(p *pending) bool {
	key := events.RequestKey(p.source, p.id)
	c.mu.Lock()
	defer c.mu.Unlock()
	left := slices.DeleteFunc(c.waiting[key], func(other *pending) bool { return other == p })
	found := len(left) < len(c.waiting[key])
	if c.waiting[key] = left; len(left) == 0 {
		delete(c.waiting, key)
	}
	return found
}

func (c *Client) isWaiting(p *pending) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Contains(c.waiting[events.RequestKey(p.source, p.id)], p)
}

// finish sets the result of a request, unless it has one.
func (c *Client) finish(p *pending, o Outcome, err error) {
	if c.forget(p) {
		p.outcome, p.err = o, err
		close(p.done)
	}
}

// Await blocks until the request of this receipt has an outcome, also an earlier one, and returns it: a success, or a
// failure, which is no error. If the request was replayed, it is the outcome of the highest replay so far.
//
// A receipt of this client costs the server nothing. For any other, the outcomes since the request was stored are read
// once, for all such calls together: until a success is found, or to the end, since a failure may have been replayed.
//
// Errors: that of ctx (the request will still be decided; Await again), [ErrOtherTenant] together with the outcome,
// [ErrNoStream], [nats.ErrPermissionViolation], [nats.ErrConnectionClosed], [ErrClosed].
func (c *Client) Await(ctx context.Context, r Receipt) (Outcome, error) {
	p := r.pending
	if p == nil {
		p = c.expect(r)
		defer c.forget(p)
		c.lookBack(p, r.Sequence)
	}
	select {
	case <-p.done:
	case <-c.failed:
		select {
		case <-p.done: // just before
		default:
			return Outcome{}, c.failure()
		}
	case <-ctx.Done():
		return Outcome{}, context.Cause(ctx)
	}
	if p.err != nil {
		return Outcome{}, p.err
	}
	return p.outcome, checkTenant(r, p.outcome)
}

func (c *Client) failure() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.js.Conn().IsClosed() {
		return nats.ErrConnectionClosed
	}
	return c.err
}

// checkTenant fails if the outcome is that of an earlier request of the same source and id, for another tenant.
func checkTenant(r Receipt, o Outcome) error {
	isValid := func(id string) bool { return events.ValidateTenantID(id) == nil }
	of := o.TenantID()
	if of == r.TenantID || r.TenantID == "" || !isValid(of) && !isValid(r.TenantID) { // an invalid id may be cut
		return nil
	}
	return fmt.Errorf("%w, %s", ErrOtherTenant, events.Quote(of))
}
