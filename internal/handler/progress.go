package handler

import (
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// unseen is the duration up to which a step is too short to follow on a screen. Most attempts take less as a whole, and
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

	mu      sync.Mutex // held while an event is published, so that they are in order
	running map[pipeline.StepEvent]step
	armed   bool // a timer runs that calls sweep
}

// step is a step that is running.
type step struct {
	began     time.Time
	published bool // that it has begun
}

// NewProgress returns a [Progress] that publishes on the connection, with source as CloudEvents source.
func NewProgress(conn *nats.Conn, source string, log *slog.Logger) *Progress {
	return &Progress{
		conn: conn, source: source, log: log, after: unseen, running: make(map[pipeline.StepEvent]step),
	}
}

// StepBegan publishes that a step has begun, unless it ends at once.
func (p *Progress) StepBegan(r pipeline.StepEvent) {
	if r.TenantID == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running[r] = step{began: time.Now()}
	p.arm()
}

// arm starts the timer for all steps that are running: one for each would cost more than its step. p is locked.
func (p *Progress) arm() {
	if !p.armed && len(p.running) > 0 {
		p.armed = true
		time.AfterFunc(p.after, p.sweep)
	}
}

// sweep publishes which of the running steps take longer than unseen.
func (p *Progress) sweep() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for r, s := range p.running {
		if !s.published && time.Since(s.began) >= p.after {
			p.publish(r, events.StepStarted, 0)
			p.running[r] = step{s.began, true}
		}
	}
	p.armed = false
	p.arm()
}

// StepEnded publishes that a step has failed, or that one has ended whose beginning was published.
func (p *Progress) StepEnded(r pipeline.StepEvent, took time.Duration, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	s, runs := p.running[r]
	delete(p.running, r)
	switch {
	case !runs: // it has no subject
	case err != nil:
		p.publish(r, events.StepFailed, took)
	case s.published:
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
