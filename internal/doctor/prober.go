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

	mu     sync.Mutex
	refuse context.CancelCauseFunc // cancels the current request
}

// ask makes one request. A request without permission never gets a reply; the server reports the violation separately,
// to hear. That report cancels the request immediately and is its error.
func (n *prober) ask(ctx context.Context, fn func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, natsAskTimeout)
	defer cancel()
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	n.mu.Lock()
	n.refuse = refuse
	n.mu.Unlock()
	err := fn(ctx)
	if cause := context.Cause(ctx); err != nil && errors.Is(cause, nats.ErrPermissionViolation) {
		return cause
	}
	return err
}

// hear receives the asynchronous errors of the connection.
func (n *prober) hear(_ *nats.Conn, _ *nats.Subscription, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.refuse != nil && errors.Is(err, nats.ErrPermissionViolation) {
		n.refuse(err)
	}
}
