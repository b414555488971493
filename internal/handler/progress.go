package handler

import (
	"log/slog"
	"time"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// Progress publishes the progress of steps on core NATS, for interactive clients. Publishing never blocks: an event has
// a few hundred bytes, 8 KiB at most, and goes into the connection's buffer. Events during a disconnection are lost. A
// request without a valid tenant id has no progress subject, so it has no progress events.
type Progress struct {
	conn   *nats.Conn
	source string // CloudEvents source
	log    *slog.Logger
}

// NewProgress returns a [Progress] that publishes on the connection, with source as CloudEvents source.
func NewProgress(conn *nats.Conn, source string, log *slog.Logger) *Progress {
	return &Progress{conn, source, log}
}

// StepBegan publishes that a step has begun.
func (p *Progress) StepBegan(r pipeline.StepEvent) { p.publish(r, events.StepStarted, 0) }

// StepEnded publishes that a step has ended.
func (p *Progress) StepEnded(r pipeline.StepEvent, took time.Duration, err error) {
	state := events.StepDone
	if err != nil {
		state = events.StepFailed
	}
	p.publish(r, state, took)
}

func (p *Progress) publish(r pipeline.StepEvent, state string, took time.Duration) {
	// Without a connection the event would wait in the client's buffer, which is reserved for messages that must not be
	// lost, and would be published late.
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
