package handler

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Progress tells on core NATS how steps get on, for who waits before a screen. Nothing waits for it: an event is a
// few hundred bytes, 8 KiB at most, put into the connection's buffer, and what is told while the connection is away
// is lost. A request without a valid tenant id has no subject, and none of it is told.
type Progress struct {
	conn   *nats.Conn
	source string // CloudEvents source
	log    *slog.Logger
}

// NewProgress returns what tells progress on the connection, as events of this source.
func NewProgress(conn *nats.Conn, source string, log *slog.Logger) *Progress {
	return &Progress{conn, source, log}
}

// StepBegan tells that a step has begun.
func (p *Progress) StepBegan(r pipeline.StepEvent) { p.tell(r, events.StepStarted, 0) }

// StepEnded tells that a step has ended.
func (p *Progress) StepEnded(r pipeline.StepEvent, took time.Duration, err error) {
	state := events.StepDone
	if err != nil {
		state = events.StepFailed
	}
	p.tell(r, state, took)
}

func (p *Progress) tell(r pipeline.StepEvent, state string, took time.Duration) {
	// Without a connection it would wait in the client's buffer, which is for what must not be lost, and be told late.
	if r.TenantID == "" || !p.conn.IsConnected() {
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
