package pipeline

import (
	"context"
	"errors"
	"fmt"

	"example.com/tenant-provisioner/events"
)

// Class says what a fault asks for.
type Class int

const (
	// Transient faults are tried again, until the last attempt. An error nobody classified is transient:
	// to fail a request for good takes knowledge. None is charged to a request before the same work has been rehearsed
	// for nobody, and has succeeded: see [Provisioner.Rehearse].
	Transient Class = iota
	// Permanent faults fail the request with their cause code.
	Permanent
	// Outage faults are not the request's: intake pauses, and no attempt is spent.
	Outage
)

// Fault is an error together with what it means. Databases return faults; they match SQLSTATEs and driver
// codes to make them, never message text.
type Fault struct {
	Class      Class
	Code       events.CauseCode // set where Class is Permanent
	Message    string           // for people: what is wrong and what to do
	DriverCode string           // SQLSTATE or driver code, empty where there is none
	Shared     bool             // met in what all requests share: registry, ledger, pool, connection
	Lost       bool             // the connection was lost, or a commit not confirmed: never charged to a request
	Waited     bool             // a wait was given up: for a lock, or for the end of a statement
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

// isDoubtful reports whether the fault may be everybody's although it looks like the request's own. Not so what was
// understood here, without an error, nor a right that is missing: what to do is known then. A structure that is not as
// defined may be anybody's: something may have changed what was made.
func (f *Fault) isDoubtful() bool {
	return f.Class != Outage && (f.Code == events.CauseSchemaInvalid || f.Err != nil && (f.Class == Transient || f.Shared))
}

// Detail is the database's own code and text, for the cause's detail.
func (f *Fault) Detail() string {
	switch {
	case f.Err == nil:
		return f.DriverCode
	case f.DriverCode == "":
		return f.Err.Error()
	}
	return f.DriverCode + ": " + f.Err.Error()
}

// Permanentf is a permanent fault without an underlying error.
func Permanentf(code events.CauseCode, format string, args ...any) *Fault {
	return &Fault{Class: Permanent, Code: code, Message: fmt.Sprintf(format, args...)}
}

// faultOf finds the fault in err; an error without one is transient.
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

// AlreadyDecidedError is returned by a database that finds, under its lock, that the request already has its outcome:
// another worker finished it meanwhile. It is not a failure.
type AlreadyDecidedError struct{ Outcome Outcome }

func (s *AlreadyDecidedError) Error() string { return "the request already has its outcome" }

// ErrBusy is wrapped where other work has to finish first: the last attempt that the limit allows may still be
// running on another worker, another worker holds the boundary or the request, or what was to be shared is of no use.
// It is neither a failure nor an attempt: ask again later.
var ErrBusy = errors.New("another worker holds the request or its boundary")

// causes is the table of cause codes: whether the same request may succeed later, and where the cause has
// a step of its own rather than the step that met it.
var causes = map[events.CauseCode]struct {
	replayable bool
	atStep0    bool
}{
	events.CauseUndecodableEvent:     {},
	events.CauseUnsupportedEventType: {},
	events.CauseInvalidRequest:       {},
	events.CauseInvalidTenantID:      {},
	events.CauseReservedTenantID:     {},
	// Existence is step 0's question, also where a race made a later step ask it again under the lock.
	events.CauseTenantExists:        {atStep0: true},
	events.CauseUnsupportedStrategy: {},
	events.CauseBoundaryNotEmpty:    {replayable: true}, // once an operator has moved the rows away
	events.CauseSchemaInvalid:       {replayable: true}, // once the boundary is mended
	events.CausePermissionDenied:    {replayable: true}, // once the right is granted
	events.CauseAttemptsExhausted:   {replayable: true},
}

// IsOutage reports whether an error means that the database is unavailable: a fault of class [Outage], or no answer in
// time.
func IsOutage(err error) bool {
	if fault, ok := errors.AsType[*Fault](err); ok {
		return fault.Class == Outage
	}
	return errors.Is(err, context.DeadlineExceeded)
}
