package handler

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ackSubjects is the prefix of the reply subject of every message that a consumer delivers, and of nothing else.
const ackSubjects = "$JS.ACK."

// Message is a stream message as a consumer delivers it, whatever its headers say.
type Message struct {
	*nats.Msg
	conn *nats.Conn
}

// isDelivered reports whether msg is a stream message. The inbox of a pull request also receives statuses of the
// server, which have no reply subject. Headers do not count, because any publisher can set them.
func isDelivered(msg *nats.Msg) bool { return strings.HasPrefix(msg.Reply, ackSubjects) }

// ack acknowledges the message and waits at most ackTimeout for the server's confirmation, even if ctx has ended.
func (m *Message) ack(ctx context.Context) error { return m.settle(ctx, "+ACK") }

// term terminates the message: it is not redelivered. The server includes the reason in its advisory. term waits as ack
// does.
func (m *Message) term(ctx context.Context, reason string) error {
	return m.settle(ctx, "+TERM "+reason)
}

func (m *Message) settle(ctx context.Context, word string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), ackTimeout)
	defer cancel()
	_, err := m.conn.RequestWithContext(ctx, m.Reply, []byte(word))
	return err
}

// nak requests redelivery after the delay. It does not wait for a confirmation.
func (m *Message) nak(delay time.Duration) error {
	return m.conn.Publish(m.Reply, fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds()))
}

// inProgress extends the ack deadline by another AckWait. It does not wait for a confirmation.
func (m *Message) inProgress() error { return m.conn.Publish(m.Reply, []byte("+WPI")) }
