package pipeline

import (
	"context"
	"errors"
	"fmt"

	"example.com/tenant-provisioner/events"
)

// Class is how a fault is handled.
type Class int

const (
	// Transient faults are retried until the last attempt. An unclassified error is transient: only a known cause may fail
	// a request permanently. A transient fault is charged to a request only after a rehearsal of the same work for a
	// scratch tenant has succeeded: see [Provisioner.Rehearse].
	Transient Class = iota
	// Permanent faults fail the request with their cause code.
	Permanent
	// Outage faults are not caused by one request: intake pauses, and no attempt is spent.
	Outage
)

// Fault is an error and its meaning. Databases derive faults from SQLSTATEs and driver codes, never from message text.
type Fault struct {
	Class      Class
	Code       events.CauseCode // set where Class is Permanent
	Message    string           // for people: what is wrong and what to do
	DriverCode string           // SQLSTATE or driver code, empty where there is none
	Shared     bool             // met in what all requests share: registry, ledger, pool, connection
	Lost       bool             // the connection was lost, or a commit not confirmed: never charged to a request
	TimedOut   bool             // a wait ended without success: for a lock, or for the end of a statement
	Err        error            // the original, may be nil
}

func (f *Fault) Error() string {
	switch {
	case f.Err == nil:
		return f.Message
	case f.Message == "":
		return f.Err.Error()
	}
	return f.Message + ": " + f.Err.Error()
}

func (f *Fault) Unwrap() error { return f.Err }

// needsRehearsal reports whether the fault may affect all requests although it looks like this request's own. A fault
// that this program found itself, without an underlying error, cannot. Neither can a missing permission: its fix is
// known. A structure that differs from the definition can: something may alter every boundary after its creation.
func (f *Fault) needsRehearsal() bool {
	return f.Class != Outage && (f.Code == events.CauseSchemaInvalid || f.Err != nil && (f.Class == Transient || f.Shared))
}

// Detail is the database's own code and text, for the detail of a cause.
func (f *Fault) Detail() string {
	switch {
	case f.Err == nil:
		return f.DriverCode
	case f.DriverCode == "":
		return f.Err.Error()
	}
	return f.DriverCode + ": " + f.Err.Error()
}

// Permanentf returns a permanent fault without an underlying error.
func Permanentf(code events.CauseCode, format string, args ...any) *Fault {
	return &Fault{Class: Permanent, Code: code, Message: fmt.Sprintf(format, args...)}
}

// faultOf returns the fault in err. An error without one is transient.
func faultOf(err error) *Fault {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	var broken *events.RequestError
	if errors.As(err, &broken) {
		return &Fault{Class: Permanent, Code: broken.Code, Message: broken.Error()}
	}
	return &Fault{Class: Transient, Err: err}
}

// AlreadyDecidedError is returned by a database that finds, under its lock, that the request already has its outcome
// because another worker has finished it. It is not a failure.
type AlreadyDecidedError struct{ Outcome Outcome }

func (s *AlreadyDecidedError) Error() string { return "the request already has its outcome" }

// ErrBusy is wrapped where other work has to finish first: the last allowed attempt may still be running on another
// worker, another worker or process holds the boundary or the request, or a shared resource (a prepared boundary, a
// group commit) failed for a reason that is not the request's. It is neither a failure nor an attempt: retry later.
var ErrBusy = errors.New("another worker holds the request or its boundary")

// causes is the table of cause codes: whether the same request may succeed later, and the step at which the failure is
// reported whichever step met it; empty: the one that met it.
var causes = map[events.CauseCode]struct {
	replayable bool
	step       string
}{
	events.CauseUndecodableEvent:     {},
	events.CauseUnsupportedEventType: {},
	events.CauseInvalidRequest:       {},
	events.CauseInvalidTenantID:      {},
	events.CauseReservedTenantID:     {},
	// Existence is checked by step 0. A race may make a later step find it, when it checks again under the lock.
	events.CauseTenantExists:        {step: validateRequestName},
	events.CauseUnsupportedStrategy: {},
	events.CauseBoundaryNotEmpty:    {replayable: true}, // once an operator has moved the rows away
	events.CauseSchemaInvalid:       {replayable: true}, // once the boundary is fixed
	events.CausePermissionDenied:    {replayable: true}, // once the permission is granted
	// Once the script is corrected. Its triggers may fire in a later step.
	events.CauseInitScriptFailed:  {replayable: true, step: RunInitScripts},
	events.CauseSeedDataFailed:    {replayable: true}, // once the seed data is corrected
	events.CauseAttemptsExhausted: {replayable: true},
}

// IsOutage reports whether an error means that the database is unavailable: a fault of class [Outage], or a timeout.
func IsOutage(err error) bool {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Class == Outage
	}
	return errors.Is(err, context.DeadlineExceeded)
}
