package handler

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
)

// ackSubjects begins the reply subject of every message that a consumer delivers, and of nothing else.
const ackSubjects = "$JS.ACK."

// Message is a message of a stream as a consumer delivers it, whatever its headers say.
type Message struct {
	*nats.Msg
	conn *nats.Conn
}

// isDelivered reports whether msg is a message of a stream. What else arrives in the inbox of a pull request is a
// status of the server's, which has no reply subject. Headers do not count: every publisher can write them.
func isDelivered(msg *nats.Msg) bool { return strings.HasPrefix(msg.Reply, ackSubjects) }

// ack acknowledges the message and waits at most ackTimeout until the server has confirmed that, also where ctx has
// ended in the meantime.
func (m *Message) ack(ctx context.Context) error { return m.settle(ctx, "+ACK") }

// term ends the redelivery of the message, for the reason, which the server puts into its advisory. It waits as ack
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

// nak has the server deliver the message again after the delay. It does not wait for a confirmation.
func (m *Message) nak(delay time.Duration) error {
	return m.conn.Publish(m.Reply, fmt.Appendf(nil, `-NAK {"delay": %d}`, delay.Nanoseconds()))
}

// inProgress has the server wait for another AckWait. It does not wait for a confirmation.
func (m *Message) inProgress() error { return m.conn.Publish(m.Reply, []byte("+WPI")) }
