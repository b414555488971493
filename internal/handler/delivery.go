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

// ReplayHeader is the header with the number of an operator's replay on a request: 1, 2, … The original has none.
const ReplayHeader = "Replay-Number"

// delivery is one delivery of a message, held by a worker.
type delivery struct {
	msg      *Message
	stream   string
	sequence uint64    // in the stream
	stored   time.Time // when the stream stored it
	replay   int       // from the header; the ledger decides what it counts as

	deliveries int // including this one

	unreadable bool // it has headers that the client library cannot parse

	name string // of this delivery, unique; see messageOf

	job *atomic.Pointer[pipeline.Job] // nil until the job exists
}

func newDelivery(msg *Message) (delivery, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return delivery{}, fmt.Errorf("a message without JetStream metadata: %w", err)
	}
	d := delivery{
		msg: msg, stream: meta.Stream, sequence: meta.Sequence.Stream, stored: meta.Timestamp,
		replay:     replayNumber(msg.Header),
		deliveries: int(min(meta.NumDelivered, math.MaxInt32)), // just a bound
		job:        new(atomic.Pointer[pipeline.Job]),
	}
	body := len(msg.Subject) + len(msg.Reply) + len(msg.Data)
	d.unreadable = msg.Header == nil && msg.Size() > body
	d.name = d.message() + nameSeparator + rand.Text()
	return d, nil
}

const nameSeparator = pipeline.DeliverySeparator

// message names the stored message, the same at every delivery. If the stream was recreated, messages with the same
// sequence differ in their time.
func (d delivery) message() string {
	return strconv.FormatUint(d.sequence, 10) + "@" + strconv.FormatInt(d.stored.UnixNano(), 10)
}

// messageOf returns the message name within the name of a delivery, as the ledger stores it. Names of earlier versions
// have none.
func messageOf(delivery string) (message string, ok bool) {
	message, _, ok = strings.Cut(delivery, nameSeparator)
	return message, ok
}

// replayNumber parses the header: decimal digits up to 2^31-1, with or without surrounding blanks. Any other value is
// not a replay. The name matches without regard to case. Of several values the largest counts.
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

// keepAlive extends the ack deadline three times per AckWait until ctx ends. At the same times it renews the lease of
// the attempt in the ledger, without delaying the next extension.
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
			default: // the previous renewal still waits for the database
			}
		}
	}
}

// renewTimeout is the timeout of a renewal. The next tick repeats one that timed out.
const renewTimeout = 5 * time.Second

// renew renews the lease of the attempt, if there is one. After a failure the next tick retries.
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
