package handler

import (
	"errors"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// faultKind is a kind of fault, for TestFaultsAndPlaces.
type faultKind struct {
	name  string
	fault *pipeline.Fault
	// shared means that a rehearsal and other requests have the fault too, until it is fixed.
	shared bool
}

var (
	errReason  = errors.New("a reason")
	faultKinds = []faultKind{
		{"outage", &pipeline.Fault{Class: pipeline.Outage, Err: errReason}, true},
		{"transient, shared", &pipeline.Fault{DriverCode: "53200", Err: errReason}, true},
		{"registry, permanent by its code", &pipeline.Fault{DriverCode: "42703", Shared: true, Err: errReason}, true},
		{
			"conflict, shared",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CauseSchemaInvalid, DriverCode: "42P16", Err: errReason}, true,
		},
		{"transient, of one request", &pipeline.Fault{DriverCode: "58P01", Err: errReason}, false},
		{"unclassified, of one request", &pipeline.Fault{Err: errReason}, false},
		{"outage, of one request", &pipeline.Fault{Class: pipeline.Outage, Err: errReason}, false},
		{"outage of the registry, of one request", &pipeline.Fault{Class: pipeline.Outage, Shared: true, Err: errReason}, false},
		{"lost connections, of one request", &pipeline.Fault{Class: pipeline.Outage, Lost: true, Err: errReason}, false},
		{
			"permission, of one request",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CausePermissionDenied, DriverCode: "42501", Err: errReason}, false,
		},
		{
			"conflict, of one request",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CauseSchemaInvalid, DriverCode: "42P16", Err: errReason}, false,
		},
	}
	stepPlaces = []faultPlace{"boundary", "tables", "indexes", "validation", "registration"}
)

// Each kind of fault in each place: what costs an attempt, what pauses intake, and what readiness reports.
func TestFaultsAndPlaces(t *testing.T) {
	t.Parallel()
	for _, kind := range faultKinds {
		for _, at := range stepPlaces {
			t.Run(kind.name+" at "+string(at), func(t *testing.T) {
				b := newBundle(t)
				b.limit.Attempts = 3
				var fixed atomic.Bool
				b.db.fails = func(where faultPlace, id string) error {
					if fixed.Load() || where != at && where != "rehearsal" || id != "acme" && !kind.shared {
						return nil
					}
					return kind.fault
				}
				h := b.start()
				b.publish(b.request("1", "acme"))
				if kind.shared {
					b.eventually("Err reports the fault", func() bool { return errors.Is(h.Err(), errReason) })
					// First: a request that meets the fault and is judged after the fix loses an attempt.
					fixed.Store(true)
					b.publish(b.request("2", "umbrella"))
				} else {
					b.publish(b.request("2", "umbrella"))
					b.eventually("the other tenant is provisioned", func() bool { return b.db.provisioned("umbrella") })
				}
				if kind.fault.Lost { // never costs an attempt
					fixed.Store(true)
				}
				b.awaitSettled()
				b.eventually("the handler is ready", func() bool { return h.Err() == nil })
				switch {
				case kind.shared, kind.fault.Lost:
					testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 2")
					testkit.Equal(t, "attempts", b.db.attempts("1"), 1)
				case kind.fault.Class == pipeline.Permanent:
					want := []string{"PROVISIONED 1", string(kind.fault.Code) + " 1"}
					slices.Sort(want)
					testkit.Equal(t, "outcomes", causes(t, b.outcomes()), strings.Join(want, ", "))
					testkit.Equal(t, "attempts", b.db.attempts("1"), 1)
				default:
					testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "ATTEMPTS_EXHAUSTED 1, PROVISIONED 1")
					testkit.Equal(t, "attempts", b.db.attempts("1"), 3)
				}
				testkit.Equal(t, "attempts of the other", b.db.attempts("2"), 1)
			})
		}
	}
}

// A fault of the ledger fails no request and costs no attempt.
func TestFaultsOfTheLedger(t *testing.T) {
	t.Parallel()
	for _, kind := range faultKinds {
		if kind.fault.Class == pipeline.Permanent { // the ledger has no such faults
			continue
		}
		for _, at := range []faultPlace{"claim", "failure", "note", "publication"} {
			t.Run(kind.name+" at "+string(at), func(t *testing.T) {
				b := newBundle(t)
				key := events.RequestKey(billing, "1")
				var fixed atomic.Bool
				var faults, publications atomic.Int32
				b.db.fails = func(where faultPlace, id string) error {
					switch {
					case where == "tables" && id == "acme": // so that there is a failure or a note to record
						if at == "failure" || at == "publication" { // a success is published without reading the ledger again
							return pipeline.Permanentf(events.CauseSchemaInvalid, "invalid")
						}
						if at == "note" && faults.Load() == 0 {
							return errTransient
						}
						return nil
					case fixed.Load(), where != at && where != "rehearsal", id != "acme" && id != key && !kind.shared:
						return nil
					case where == "rehearsal" && at == "note": // otherwise it would be an outage
						return nil
					case where == "publication" && publications.Add(1) == 1: // of the dead letter
						return nil
					}
					faults.Add(1)
					return kind.fault
				}
				h := b.start()
				b.publish(b.request("1", "acme"), b.request("2", "umbrella"))
				b.eventually("the fault occurs", func() bool { return faults.Load() > 0 })
				if at != "note" && (kind.shared || at == "publication") {
					b.eventually("Err reports the fault", func() bool { return errors.Is(h.Err(), errReason) })
				}
				if !kind.shared {
					b.eventually("the other tenant is provisioned", func() bool { return b.db.provisioned("umbrella") })
				}
				fixed.Store(true)
				b.awaitSettled()
				b.eventually("the handler is ready", func() bool { return h.Err() == nil })
				want, attempts := "PROVISIONED 2", 1
				switch at {
				case "failure", "publication":
					want = "PROVISIONED 1, SCHEMA_INVALID 1"
				case "note":
					attempts = 2 // for the fault of the step
				}
				testkit.Equal(t, "outcomes", causes(t, b.outcomes()), want)
				if at != "failure" { // a failure that cannot be recorded is followed by another attempt
					testkit.Equal(t, "attempts", b.db.attempts("1"), attempts)
				}
			})
		}
	}
}

// No fault of the ledger lets an undecodable message block other work.
func TestFaultsOfARejection(t *testing.T) {
	t.Parallel()
	for _, kind := range faultKinds {
		if kind.fault.Class == pipeline.Permanent {
			continue
		}
		t.Run(kind.name, func(t *testing.T) {
			b := newBundle(t)
			var fixed atomic.Bool
			b.db.fails = func(where faultPlace, _ string) error {
				if fixed.Load() || where != "rejection" && !(where == "rehearsal" && kind.shared) {
					return nil
				}
				return kind.fault
			}
			h := b.start()
			b.publish(&nats.Msg{Subject: events.TypeRequested, Data: []byte("not an event")}, b.request("1", "umbrella"))
			if kind.shared {
				b.eventually("Err reports the fault", func() bool { return errors.Is(h.Err(), errReason) })
			} else {
				b.eventually("the other tenant is provisioned", func() bool { return b.db.provisioned("umbrella") })
			}
			fixed.Store(true)
			b.awaitSettled()
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1, UNDECODABLE_EVENT 1")
		})
	}
}
