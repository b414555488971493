package natsconn

import (
	"context"
	"errors"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Unavailable reports whether an error means that NATS cannot be reached now, or does not answer.
func Unavailable(err error) bool {
	if _, ok := errors.AsType[*InboxError](err); ok { // the user's permissions may change
		return true
	}
	for _, target := range []error{
		nats.ErrNoResponders, nats.ErrTimeout, nats.ErrConnectionReconnecting, nats.ErrDisconnected,
		nats.ErrReconnectBufExceeded, // the service has no reconnect buffer: the connection was lost just now
		context.DeadlineExceeded, jetstream.ErrJetStreamNotEnabled,
	} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}
