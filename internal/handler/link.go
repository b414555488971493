package handler

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// Link is what is known about the connection to NATS. Its methods answer from memory.
type Link interface {
	// Err returns nil while requests can be sent and replies are received, else the reason why not.
	Err() error
	// Changed returns a channel that is closed when Err may have changed.
	Changed() <-chan struct{}
	// Refused returns the server's last report, since the time, that the user may not publish to a subject with this
	// prefix, or nil.
	Refused(prefix string, since time.Time) error
}

// awaitLink waits until the link is up or ctx ends. It returns [nats.ErrConnectionClosed] if the client has given up,
// which is permanent.
func (h *Handler) awaitLink(ctx context.Context) error {
	alive := time.NewTicker(heartbeat)
	defer alive.Stop()
	for ctx.Err() == nil {
		changed := h.Link.Changed()
		err := h.Link.Err()
		switch {
		case err == nil && h.Conn.IsConnected(): // the link learns a moment later that the connection was lost
			return nil
		case errors.Is(err, nats.ErrConnectionClosed):
			return fmt.Errorf("take requests: %w", err)
		}
		h.watchdog.setState(stateServer)
		select {
		case <-changed:
		case <-alive.C:
		case <-ctx.Done():
		}
	}
	return nil
}
