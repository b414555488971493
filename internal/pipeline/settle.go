package pipeline

import "fmt"

// Verdict is what to do with a delivery.
type Verdict int

// The verdicts. In JetStream's terms: ack, term, nak with delay, nak. Pause sends no answer yet.
const (
	// Acknowledge: the tenant is provisioned. Publish the outcome, then acknowledge.
	Acknowledge Verdict = iota
	// Terminate: the request has failed. Publish dead letter and outcome, then stop its redelivery.
	Terminate
	// Retry: have it redelivered after a delay that grows.
	Retry
	// Release: have it redelivered at once, to a process that is not stopping.
	Release
	// Pause: keep the message, take no others, and run the same job again once the database is available.
	Pause
)

func (v Verdict) String() string {
	switch v {
	case Acknowledge:
		return "acknowledge"
	case Terminate:
		return "terminate"
	case Retry:
		return "retry"
	case Release:
		return "release"
	case Pause:
		return "pause"
	}
	return fmt.Sprintf("verdict %d", int(v))
}

// LedgerState is the state of a request in the ledger.
type LedgerState int

// The ledger's states of a request.
const (
	Unread      LedgerState = iota // the ledger was not queried, or could not be read or written: see Result
	Claimed                        // this delivery has an attempt: see Result
	Spent                          // all attempts have begun, and the last one cannot be running any more
	Busy                           // another worker may be running the last attempt, or holds the request or its boundary
	Provisioned                    // there is an outcome: a success
	Failed                         // there is an outcome: a failure
)

// Result is how the last database operation ended.
type Result int

// The results: success, and the classes of faults.
const (
	ResultOK Result = iota
	ResultTransient
	ResultPermanent
	ResultOutage
)

// Phase is how far the process has stopped.
type Phase int

// The phases.
const (
	Serving  Phase = iota
	Draining       // no requests are taken; running attempts may finish, but nothing may wait
	Stopping       // running attempts are cancelled, which may be the cause of their faults
)

// Facts are everything that the verdict on a delivery depends on.
type Facts struct {
	Ledger LedgerState
	Result Result // if Ledger is Unread or Claimed
	Last   bool   // if Claimed: no attempt is left after this one
	Phase  Phase
}

// Settle is the table that decides a delivery. It is total, and the only place that decides: code that meets an error
// only adds a fact.
//
//  1. A recorded outcome outweighs everything else: what was decided before is what is published.
//  2. A message that is not a CloudEvent has failed as soon as its failure is in the ledger.
//  3. A failure is permanent because of its cause, or because no attempt is left. It is never permanent because of an
//     outage, or of a transient fault that occurs while attempts are being cancelled.
//  4. No request fails because of a fault of the ledger. One that only an operator can fix, such as a missing
//     permission, is handled as an outage.
//  5. A process that drains keeps no message for an outage. One that cancels attempts releases without a delay, because
//     it may have caused the faults itself.
func Settle(f Facts) Verdict {
	switch {
	case f.Ledger == Failed, f.Ledger == Spent:
		return Terminate
	case f.Ledger == Provisioned:
		return Acknowledge
	case f.Ledger == Claimed && f.Result == ResultOK:
		return Acknowledge
	case f.Ledger == Claimed && f.Result == ResultPermanent:
		return Terminate
	case f.Phase == Stopping:
		return Release
	case f.Ledger == Busy:
		return Retry
	case f.Result == ResultTransient && f.Ledger == Claimed && f.Last:
		return Terminate
	case f.Result == ResultTransient:
		return Retry
	case f.Phase == Draining:
		return Release
	case f.Result == ResultOutage, f.Result == ResultPermanent:
		return Pause
	}
	return Retry // Unread without a fault while serving: no caller reports it, and a retry loses nothing
}

// resultOf maps the class of a fault to a result.
func resultOf(f *Fault) Result {
	switch f.Class {
	case Permanent:
		return ResultPermanent
	case Outage:
		return ResultOutage
	case Transient:
	}
	return ResultTransient
}

// stateOf is the ledger's state of a request with this outcome.
func stateOf(o Outcome) LedgerState {
	if o.Provisioned() {
		return Provisioned
	}
	return Failed
}
