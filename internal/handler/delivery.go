package handler

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/internal/pipeline"
)

// ReplayHeader is the number of an operator's replay, on a request: 1, 2, … It is absent on the original.
const ReplayHeader = "Replay-Number"

// delivery is one message in the hands of a worker.
type delivery struct {
	msg      *Message
	stream   string
	sequence uint64    // in the stream
	stored   time.Time // when the stream took it
	replay   int       // as the header has it; what it counts as is the ledger's to decide

	deliveries int // this one included

	unreadable bool // it has headers, which the client library cannot read

	name string // of this delivery, unlike any other's; see messageOf

	job *atomic.Pointer[pipeline.Job] // once there is one
}

func newDelivery(msg *Message) (delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return delivery{}, fmt.Errorf("a message without JetStream metadata: %w", err)
	}
	d := delivery{
		msg: msg, stream: meta.Stream, sequence: meta.Sequence.Stream, stored: meta.Timestamp,
		replay:     replayNumber(msg.Header),
		deliveries: int(min(meta.NumDelivered, math.MaxInt32)), // just bounded
		job:        new(atomic.Pointer[pipeline.Job]),
	}
	body := len(msg.Subject) + len(msg.Reply) + len(msg.Data)
	d.unreadable = msg.Header == nil && msg.Size() > body
	d.name = d.message() + nameSeparator + rand.Text()
	return d, nil
}

const nameSeparator = pipeline.DeliverySeparator

// message names the stored message, however often it is delivered: two of the same sequence, in a stream that was made
// again, differ in their time.
func (d delivery) message() string {
	return strconv.FormatUint(d.sequence, 10) + "@" + strconv.FormatInt(d.stored.UnixNano(), 10)
}

// messageOf is the message that a delivery, by its name in the ledger, was of. Names that an earlier version gave say
// nothing.
func messageOf(delivery string) (message string, ok bool) {
	message, _, ok = strings.Cut(delivery, nameSeparator)
	return message, ok
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

// keepAlive tells the server, three times per AckWait, that the message is being worked on, until ctx ends. As often it
// renews the lease of the attempt in the ledger. That never delays the word to the server.
func (d delivery) keepAlive(ctx context.Context, ackWait time.Duration, log *slog.Logger) {
	ticker := time.NewTicker(max(ackWait/3, time.Millisecond))
	defer ticker.Stop()
	var renewal sync.WaitGroup
	defer renewal.Wait()
	renewing := make(chan struct{}, 1)
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := d.msg.inProgress(); err != nil {
				log.DebugContext(ctx, "could not extend ack deadline", "error", err)
			}
			select {
			case renewing <- struct{}{}:
				renewal.Go(func() {
					defer func() { <-renewing }()
					d.renew(ctx, log)
				})
			default: // the last one still waits for the database
			}
		}
	}
}

// renewTimeout bounds a renewal: one that takes longer is made again with the next tick.
const renewTimeout = 5 * time.Second

// renew renews the lease of the attempt, if there is one. What the database cannot take now is renewed by the next
// tick, or when the database is back.
func (d delivery) renew(ctx context.Context, log *slog.Logger) {
	job := d.job.Load()
	if job == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, renewTimeout)
	defer cancel()
	if err := job.Renew(ctx); err != nil {
		log.DebugContext(ctx, "could not renew lease of the attempt", "error", err)
	}
}
