package natsconn

import (
	"cmp"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/nats-io/nats.go"
)

// LastError keeps the error of the last failed reconnect, which the client reports once and does not keep.
type LastError struct{ atomic.Pointer[error] }

// Option makes a connection report its reconnect errors to l.
func (l *LastError) Option() nats.Option {
	return nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { l.Store(&err) })
}

func (l *LastError) err() error {
	if err := l.Load(); err != nil {
		return *err
	}
	return nil
}

// Connected returns nil if the connection is up, else why not. A request would only time out, without a reason.
func Connected(nc *nats.Conn, last *LastError) error {
	switch {
	case nc.IsConnected():
		return nil
	case nc.IsClosed(): // refused for good, as with wrong credentials
		return errors.Join(nats.ErrConnectionClosed, explain(nc.LastError()))
	}
	if err := explain(cmp.Or(nc.LastError(), last.err())); err != nil {
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, err)
	}
	return nats.ErrDisconnected
}
