package pipeline

import (
	"context"
	"slices"
	"testing"
	"time"

	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"example.com/tenant-provisioner/events"
)

// panickingObserver is an Observer that panics in one method.
type panickingObserver struct{ in string }

func (s panickingObserver) at(method string) {
	if s.in == method {
		panic("out of cheese")
	}
}

func (s panickingObserver) StepBegan(StepEvent)                       { s.at("StepBegan") }
func (s panickingObserver) StepEnded(StepEvent, time.Duration, error) { s.at("StepEnded") }
func (s panickingObserver) AttemptEnded(AttemptResult)                { s.at("AttemptEnded") }
func (s panickingObserver) Warned(string, string)                     { s.at("Warned") }
func (s panickingObserver) Recorded(string, events.CauseCode)         { s.at("Recorded") }

// A panic anywhere leaks nothing: admission, worker and build are released, and spans end. A request that panics before
// its outcome is recorded is retried, after an error of the attempt or a panic of the delivery.
func TestPanicLeaksNothing(t *testing.T) {
	t.Parallel()
	for _, place := range []string{
		"vanished", "claim", "begin", "boundary", "tables", "indexes", "inspect", "register", "close", "note", "record_failure",
		"StepBegan", "StepEnded", "AttemptEnded", "Warned", "Recorded",
	} {
		t.Run(place, func(t *testing.T) {
			t.Parallel()
			b := newTestbed()
			b.panics, b.config.Observer = place, panickingObserver{in: place}
			spans := tracetest.NewSpanRecorder()
			b.config.Tracer = sdktrace.NewTracerProvider(sdktrace.WithSpanProcessor(spans)).Tracer("test")
			b.failing = map[string]error{"idx_documents_status": context.Canceled} // for Warned
			switch place {
			case "note":
				b.fail["tables"] = &Fault{Class: Transient, Message: "deadlock"}
			case "record_failure":
				b.fail["tables"] = &Fault{Class: Permanent, Code: events.CauseSchemaInvalid, Message: "no"}
			}
			p := b.provisioner(t)
			run := func() (result Decision, panicked bool) {
				defer func() { panicked = recover() != nil }()
				r := request(t)
				r.Redelivered = true
				return p.Job(r).Run(t.Context()), false
			}
			result, panicked := run()
			switch {
			case slices.Contains([]string{"vanished", "claim", "note", "record_failure", "AttemptEnded", "Warned", "Recorded"}, place):
				if !panicked {
					t.Errorf("%s, %v", result.Verdict, result.Err)
				}
			case place == "close":
				if panicked || result.Verdict != Acknowledge {
					t.Errorf("%s, %v", result.Verdict, result.Err)
				}
			default:
				if panicked || result.Verdict != Retry || len(b.notes) != 1 {
					t.Errorf("%s, %v, notes %v", result.Verdict, result.Err, b.notes)
				}
			}
			if !p.running.TryAcquire(exclusive) || !p.building.TryAcquire(int64(b.config.Workers)) {
				t.Fatal("admission or a worker is not released")
			}
			p.running.Release(exclusive)
			p.building.Release(int64(b.config.Workers))
			if began, ended := len(spans.Started()), len(spans.Ended()); began != ended {
				t.Errorf("%d spans begun, %d ended", began, ended)
			}
			if slices.Contains(b.calls, "boundary") && !slices.Contains(b.calls, "close") {
				t.Errorf("the build is not closed: %v", b.calls)
			}
			b.panics, b.config.Observer, p.Observer, b.fail = "", nil, noopObserver{}, map[string]error{}
			if result, panicked := run(); panicked || !result.Decided() {
				t.Errorf("the next delivery: %s, %v", result.Verdict, result.Err)
			}
		})
	}
}
