package handler

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// ReplayHeader is the number of an operator's replay, on a request: 1, 2, … It is absent on the original.
const ReplayHeader = "Replay-Number"

// delivery is one message in the hands of a worker.
type delivery struct {
	msg      jetstream.Msg
	stream   string
	sequence uint64    // in the stream
	stored   time.Time // when the stream took it
	replay   int       // as the header has it; what it counts as is the ledger's to decide

	deliveries int // this one included
}

func newDelivery(msg jetstream.Msg) (delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return delivery{}, fmt.Errorf("a message without JetStream metadata: %w", err)
	}
	return delivery{
		msg: msg, stream: meta.Stream, sequence: meta.Sequence.Stream, stored: meta.Timestamp,
		replay:     replayNumber(msg.Headers()),
		deliveries: int(min(meta.NumDelivered, math.MaxInt32)), // just bounded
	}, nil
}

// replayNumber reads the header: decimal digits, with blanks around them or without, up to 2^31-1. Anything else is not
// a replay. Where it is repeated, in whatever case, the largest number counts.
func replayNumber(header nats.Header) (largest int) {
	for name, values := range header {
		if !strings.EqualFold(name, ReplayHeader) {
			continue
		}
		for _, value := range values {
			if n, err := count(strings.Trim(value, " \t")); err == nil {
				largest = max(largest, n)
			}
		}
	}
	return largest
}

// keepAlive tells the server, three times per AckWait, that the message is being worked on, until ctx ends.
func (d delivery) keepAlive(ctx context.Context, ackWait time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(max(ackWait/3, time.Millisecond))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := d.msg.InProgress(); err != nil {
				log.DebugContext(ctx, "the server could not be told that work goes on", "error", err)
			}
		}
	}
}
