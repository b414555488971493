package handler

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// unseen is how long a step takes at most that nobody would see on a screen. Most attempts as a whole take less, and
// their outcome, which has the durations of all steps, follows at once.
const unseen = 50 * time.Millisecond

// Progress publishes the progress of steps on core NATS, for interactive clients: beginning and end of each step that
// takes longer than unseen, and each failure. Publishing never blocks: an event has a few hundred bytes, 8 KiB at most,
// and goes into the connection's buffer. Events during a disconnection are lost. A request without a valid tenant id
// has no progress subject, so it has no progress events.
type Progress struct {
	conn   *nats.Conn
	source string // CloudEvents source
	log    *slog.Logger
	after  time.Duration

	mu      sync.Mutex                  // held while an event is published, so that they are in order
	running map[pipeline.StepEvent]bool // whether the beginning of a step that is running was published
}

// NewProgress returns a [Progress] that publishes on the connection, with source as CloudEvents source.
func NewProgress(conn *nats.Conn, source string, log *slog.Logger) *Progress {
	return &Progress{
		conn: conn, source: source, log: log, after: unseen, running: make(map[pipeline.StepEvent]bool),
	}
}

// StepBegan publishes that a step has begun, unless it ends at once.
func (p *Progress) StepBegan(r pipeline.StepEvent) {
	if r.TenantID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[r] = false
	time.AfterFunc(p.after, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if published, runs := p.running[r]; runs && !published {
			p.publish(r, events.StepStarted, 0)
			p.running[r] = true
		}
	})
}

// StepEnded publishes that a step has failed, or that one has ended whose beginning was published.
func (p *Progress) StepEnded(r pipeline.StepEvent, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	published, runs := p.running[r]
	delete(p.running, r)
	switch {
	case !runs: // it has no subject
	case err != nil:
		p.publish(r, events.StepFailed, took)
	case published:
		p.publish(r, events.StepDone, took)
	}
}

func (p *Progress) publish(r pipeline.StepEvent, state string, took time.Duration) {
	// Without a connection the event would wait in the client's buffer, which is reserved for messages that must not be
	// lost, and would be published late.
	if !p.conn.IsConnected() {
		return
	}
	header, body, err := events.EncodeProgress(p.source, time.Now(), events.Progress{
		TenantID: r.TenantID, Request: r.Request, Attempt: r.Attempt, Replay: r.Replay, Step: r.Step,
		State: state, DurationMS: float64(took.Microseconds()) / 1000,
	})
	if err == nil {
		err = p.conn.PublishMsg(&nats.Msg{Subject: events.ProgressSubject(r.TenantID), Header: header, Data: body})
	}
	if err != nil {
		p.log.Debug("could not publish progress", "error", err)
	}
}
