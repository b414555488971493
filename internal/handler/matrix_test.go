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
		{"transient, shared by all", &pipeline.Fault{DriverCode: "53200", Err: errReason}, true},
		{"registry, permanent by its code", &pipeline.Fault{DriverCode: "42703", Shared: true, Err: errReason}, true},
		{
			"conflict, everybody's",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CauseSchemaInvalid, DriverCode: "42P16", Err: errReason}, true,
		},
		{"transient, one's own", &pipeline.Fault{DriverCode: "58P01", Err: errReason}, false},
		{"unclassified, one's own", &pipeline.Fault{Err: errReason}, false},
		{"outage, one's own", &pipeline.Fault{Class: pipeline.Outage, Err: errReason}, false},
		{"outage of the registry, one's own", &pipeline.Fault{Class: pipeline.Outage, Shared: true, Err: errReason}, false},
		{"lost connections, one's own", &pipeline.Fault{Class: pipeline.Outage, Lost: true, Err: errReason}, false},
		{
			"right, one's own",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CausePermissionDenied, DriverCode: "42501", Err: errReason}, false,
		},
		{
			"conflict, one's own",
			&pipeline.Fault{Class: pipeline.Permanent, Code: events.CauseSchemaInvalid, DriverCode: "42P16", Err: errReason}, false,
		},
	}
	stepPlaces = []faultPlace{"boundary", "tables", "indexes", "validation", "registration"}
)

// Each kind of fault in each place: what is charged, what pauses, and what readiness reports.
func TestFaultsAndPlaces(t *testing.T) {
	t.Parallel()
	for _, kind := range faultKinds {
		for _, at := range stepPlaces {
			t.Run(kind.name+" at "+string(at), func(t *testing.T) {
				b := newBundle(t)
				b.limit.Attempts = 3
				var fixed atomic.Bool
				b.db.fails = func(where faultPlace, who string) error {
					if fixed.Load() || where != at && where != "rehearsal" || who != "acme" && !kind.shared {
						return nil
					}
					return kind.fault
				}
				h := b.start()
				b.publish(b.request("1", "acme"))
				if kind.shared {
					b.eventually("it is not ready, and says why", func() bool { return errors.Is(h.Err(), errReason) })
					b.publish(b.request("2", "umbrella"))
					fixed.Store(true)
				} else {
					b.publish(b.request("2", "umbrella"))
					b.eventually("the other is served", func() bool { return b.db.provisioned("umbrella") })
				}
				if kind.fault.Lost { // never charged
					fixed.Store(true)
				}
				b.awaitSettled()
				b.eventually("it is ready", func() bool { return h.Err() == nil })
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

// The same for reads and writes of the ledger: no request fails for a fault of the ledger, and none is charged.
func TestFaultsOfTheLedger(t *testing.T) {
	t.Parallel()
	for _, kind := range faultKinds {
		if kind.fault.Class == pipeline.Permanent { // the ledger has no such faults
			continue
		}
		for _, at := range []faultPlace{"claim", "conclusion", "note", "publication"} {
			t.Run(kind.name+" at "+string(at), func(t *testing.T) {
				b := newBundle(t)
				key := events.RequestKey(billing, "1")
				var fixed atomic.Bool
				var met atomic.Int32
				b.db.fails = func(where faultPlace, who string) error {
					switch {
					case where == "tables" && who == "acme": // so that there is a failure or a note to record
						if at == "conclusion" {
							return pipeline.Permanentf(events.CauseSchemaInvalid, "it is so")
						}
						if at == "note" && met.Load() == 0 {
							return errTransient
						}
						return nil
					case fixed.Load(), where != at && where != "rehearsal", who != "acme" && who != key && !kind.shared:
						return nil
					case where == "rehearsal" && at == "note": // otherwise it would be an outage
						return nil
					}
					met.Add(1)
					return kind.fault
				}
				h := b.start()
				b.publish(b.request("1", "acme"), b.request("2", "umbrella"))
				b.eventually("it is met", func() bool { return met.Load() > 0 })
				if at != "note" && (kind.shared || at == "publication") {
					b.eventually("it is not ready, and says why", func() bool { return errors.Is(h.Err(), errReason) })
				}
				if !kind.shared {
					b.eventually("the other is served", func() bool { return b.db.provisioned("umbrella") })
				}
				fixed.Store(true)
				b.awaitSettled()
				b.eventually("it is ready", func() bool { return h.Err() == nil })
				want, attempts := "PROVISIONED 2", 1
				switch at {
				case "conclusion":
					want = "PROVISIONED 1, SCHEMA_INVALID 1"
				case "note":
					attempts = 2 // for the fault of the step
				}
				testkit.Equal(t, "outcomes", causes(t, b.outcomes()), want)
				if at != "conclusion" { // a delivery that could not record a failure is followed by another attempt
					testkit.Equal(t, "attempts", b.db.attempts("1"), attempts)
				}
			})
		}
	}
}

// An undecodable message does not block other work either, whatever fault the ledger has when it records the failure.
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
				b.eventually("it is not ready, and says why", func() bool { return errors.Is(h.Err(), errReason) })
			} else {
				b.eventually("the other is served", func() bool { return b.db.provisioned("umbrella") })
			}
			fixed.Store(true)
			b.awaitSettled()
			testkit.Equal(t, "outcomes", causes(t, b.outcomes()), "PROVISIONED 1, UNDECODABLE_EVENT 1")
		})
	}
}
