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
func (m *Message) ack(ctx context.Context) error { return m.settle(ctx, ackTimeout, "+ACK") }

// term terminates the message: it is not redelivered. The server includes the reason in its advisory. term waits as ack
// does.
func (m *Message) term(ctx context.Context, reason string) error {
	return m.settle(ctx, ackTimeout, "+TERM "+reason)
}

// nak requests redelivery after the delay. It waits at most nakTimeout for the confirmation, as ack does: a server that
// stops drops the negative acknowledgements that it has received but not processed. (nats-server 2.15.2, consumer.go,
// ackMsgs)
func (m *Message) nak(ctx context.Context, delay time.Duration) error {
	return m.settle(ctx, nakTimeout, fmt.Sprintf(`-NAK {"delay": %d}`, delay.Nanoseconds()))
}

func (m *Message) settle(ctx context.Context, timeout time.Duration, word string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), timeout)
	defer cancel()
	_, err := m.conn.RequestWithContext(ctx, m.Reply, []byte(word))
	return err
}

// inProgress extends the ack deadline by another AckWait. It does not wait for a confirmation.
func (m *Message) inProgress() error { return m.conn.Publish(m.Reply, []byte("+WPI")) }
