package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"sync"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/schollz/progressbar/v3"
	"golang.org/x/time/rate"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/terminal"
)

// importResult is a request of a file, in the report.
type importResult struct {
	Line      int    `json:"line"`
	Tenant    string `json:"tenant"`
	ID        string `json:"id"`
	Outcome   string `json:"outcome,omitempty"` // as of a replay; empty: it was not waited for
	Cause     string `json:"cause,omitempty"`
	Message   string `json:"message,omitempty"`
	OutcomeID string `json:"outcome_id,omitempty"`
}

// importSummary counts the requests of a file.
type importSummary struct {
	Requests    int `json:"requests"` // of the file
	Published   int `json:"published"`
	Repeated    int `json:"repeated"` // of those, how many the stream had already, as far as it remembers
	Provisioned int `json:"provisioned"`
	Failed      int `json:"failed"`
	NotSeen     int `json:"not_seen"` // no outcome within --wait
}

// importer publishes the requests of a file and shows their outcomes.
type importer struct {
	*app
	requestFlags
	js     jetstream.JetStream
	client *client.Client // nil: it does not wait
	bar    *progressbar.ProgressBar

	mu  sync.Mutex
	sum importSummary
	err error
}

// importRequests publishes the requests of a file, once all of them are found to be right.
func (a *app) importRequests(ctx context.Context, f requestFlags) error {
	lines, err := readImport(f.file, a.In, f)
	if err != nil {
		return usageError(err)
	}
	c, log, err := a.configure(ctx)
	if err != nil {
		return err
	}
	js, end, err := natsconn.Open(ctx, c, log)
	if err != nil {
		return err
	}
	defer end()
	i := &importer{app: a, requestFlags: f, js: js, bar: a.ProgressBar(len(lines), "requests", "requests")}
	i.sum.Requests = len(lines)
	if f.wait > 0 {
		if i.client, err = client.Open(ctx, js); err != nil {
			return err
		}
		defer i.client.Close()
	}
	failed := i.publishAll(ctx, lines)
	i.bar.Clear() //nolint:errcheck // a display
	if err := errors.Join(i.err, i.summary()); err != nil {
		return err
	}
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted; repeat the command to go on: what was published is not provisioned twice")
	case failed != nil:
		return failed
	case i.sum.Failed+i.sum.NotSeen > 0:
		return errSilent
	}
	return nil
}

// publishAll publishes at the rate, and waits for the outcomes until --wait after the last one.
func (i *importer) publishAll(ctx context.Context, lines []importLine) error {
	limit := rate.NewLimiter(rate.Inf, 1)
	if i.rate > 0 {
		limit.SetLimit(rate.Limit(i.rate))
	}
	waiting, stop := context.WithCancel(ctx)
	defer stop()
	var outcomes sync.WaitGroup
	var failed error
	for _, l := range lines {
		if failed = limit.Wait(ctx); failed != nil {
			break
		}
		receipt, err := i.publish(ctx, l)
		if err != nil {
			failed = fmt.Errorf("%s:%d: %w; repeat the command to go on: what was published is not provisioned twice",
				i.file, l.line, err)
			break
		}
		if i.client == nil {
			i.report(importResult{Line: l.line, Tenant: l.data.TenantID, ID: l.event.ID()})
			continue
		}
		outcomes.Go(func() { i.await(waiting, l, receipt) })
	}
	all := make(chan struct{})
	go func() { outcomes.Wait(); close(all) }()
	if ctx.Err() == nil {
		last, cancel := context.WithTimeout(ctx, i.wait)
		defer cancel()
		select {
		case <-all:
		case <-last.Done():
		}
	}
	stop()
	<-all
	return failed
}

func (i *importer) publish(ctx context.Context, l importLine) (r client.Receipt, err error) {
	ctx, cancel := context.WithTimeout(ctx, publishTimeout)
	defer cancel()
	if i.client != nil {
		r, err = i.client.Publish(ctx, l.event)
	} else {
		r, err = client.Publish(ctx, i.js, l.event)
	}
	if err == nil {
		i.mu.Lock()
		defer i.mu.Unlock()
		i.sum.Published++
		if r.Duplicate {
			i.sum.Repeated++
		}
	}
	return r, err
}

func (i *importer) await(ctx context.Context, l importLine, receipt client.Receipt) {
	o, err := i.client.Await(ctx, receipt)
	result := importResult{Line: l.line, Tenant: l.data.TenantID, ID: l.event.ID(), Outcome: outcomeProvisioned}
	switch {
	case errors.Is(err, client.ErrOtherTenant):
		result.Outcome, result.Message = outcomeFailed, err.Error()
	case err != nil:
		result.Outcome = outcomeNone
		if ctx.Err() == nil {
			result.Message = err.Error()
		}
	case o.Failed != nil:
		result.Outcome, result.Cause, result.Message = outcomeFailed, string(o.Failed.Cause.Code), o.Failed.Cause.Message
	}
	if o.Event.Context != nil {
		result.OutcomeID = o.ID()
	}
	i.report(result)
}

// report counts a result and writes its line: as JSON, or for people if it failed.
func (i *importer) report(r importResult) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch r.Outcome {
	case outcomeProvisioned:
		i.sum.Provisioned++
	case outcomeFailed:
		i.sum.Failed++
	case outcomeNone:
		i.sum.NotSeen++
	}
	var err error
	switch {
	case i.asJSON:
		err = json.NewEncoder(i.Out).Encode(r)
	case r.Outcome == outcomeFailed, r.Message != "":
		i.bar.Clear() //nolint:errcheck // a display
		p := i.Palette(i.Out)
		_, err = fmt.Fprintf(i.Out, "%s line %d, %s: %s %s\n", p.Mark(terminal.MarkFailed), r.Line, events.Quote(r.Tenant),
			p.Failed.Sprint(terminal.Plain(r.Cause)), terminal.Plain(r.Message))
	}
	i.bar.Add(1) //nolint:errcheck // a display
	if i.err == nil {
		i.err = err
	}
}

func (i *importer) summary() error {
	if i.asJSON {
		return json.NewEncoder(i.Out).Encode(map[string]importSummary{"summary": i.sum})
	}
	s := i.sum
	text := fmt.Sprintf("%d of %d requests published, %d of them again", s.Published, s.Requests, s.Repeated)
	if i.client != nil {
		text += fmt.Sprintf("; %d provisioned, %d failed, %d without an outcome yet", s.Provisioned, s.Failed, s.NotSeen)
	}
	_, err := fmt.Fprintln(i.Out, text)
	return err
}
