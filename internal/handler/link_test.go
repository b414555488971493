package handler

import (
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// clientLink is a [Link] that queries the client.
type clientLink struct{ conn *nats.Conn }

func (l clientLink) Err() error {
	switch {
	case l.conn.IsConnected():
		return nil
	case l.conn.IsClosed():
		return nats.ErrConnectionClosed
	}
	return nats.ErrDisconnected
}

func (l clientLink) Changed() <-chan struct{} {
	changed := make(chan struct{})
	time.AfterFunc(10*time.Millisecond, func() { close(changed) })
	return changed
}

func (l clientLink) Refused(prefix string, _ time.Time) error {
	if err := l.conn.LastError(); err != nil && strings.Contains(err.Error(), `Publish to "`+prefix) {
		return err
	}
	return nil
}
