package doctor

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/config"
)

// prober sends the doctor's requests to NATS.
type prober struct {
	c   config.Config
	nc  *nats.Conn
	js  jetstream.JetStream
	now func() time.Time

	inDomain bool // the server of the connection is in the domain of JetStream, or no domain is set

	mu     sync.Mutex
	cancel context.CancelCauseFunc // cancels the current request
}

// request runs fn, which sends one request. Without permission a request never gets a reply; the server reports the
// violation separately, to onError. That report cancels the request immediately and is its error.
func (n *prober) request(ctx context.Context, fn func(context.Context) error) error {
	return n.requestWithin(ctx, natsRequestTimeout, fn)
}

// requestWithin is request for a function that may take longer, and send several requests.
func (n *prober) requestWithin(ctx context.Context, limit time.Duration, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ctx, cancelRequest := context.WithCancelCause(ctx)
	defer cancelRequest(nil)
	n.mu.Lock()
	n.cancel = cancelRequest
	n.mu.Unlock()
	err := fn(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return err
}

// onError receives the asynchronous errors of the connection.
func (n *prober) onError(_ *nats.Conn, _ *nats.Subscription, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.cancel != nil && errors.Is(err, nats.ErrPermissionViolation) {
		n.cancel(err)
	}
}
