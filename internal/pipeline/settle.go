package pipeline

import "fmt"

// Verdict says what is to be done with a delivery.
type Verdict int

// The verdicts. In JetStream's words: ack, term, nak with delay, nak; and pause, which answers nothing yet.
const (
	// Acknowledge: the tenant is provisioned. Publish the outcome, then acknowledge.
	Acknowledge Verdict = iota
	// Terminate: the request has failed. Publish dead letter and outcome, then end its redelivery.
	Terminate
	// Postpone: deliver again, after a delay that grows.
	Retry
	// HandBack: deliver again at once, to a process that goes on.
	Release
	// Pause: keep the message, take no others, and run the same job again once the database is back.
	Pause
)

func (v Verdict) String() string {
	switch v {
	case Acknowledge:
		return "acknowledge"
	case Terminate:
		return "terminate"
	case Retry:
		return "postpone"
	case Release:
		return "hand back"
	case Pause:
		return "pause"
	}
	return fmt.Sprintf("verdict %d", int(v))
}

// LedgerState is what the ledger has said of a request.
type LedgerState int

// The ledger's states of a request.
const (
	Unread      LedgerState = iota // the ledger was not asked, or could not be, or told: Ended says why
	Claimed                        // this delivery has an attempt: Ended says how it went
	Spent                          // all attempts were begun, and the last one cannot be running any more
	Busy                           // the last attempt may be running on another worker
	Provisioned                    // there is an outcome: a success
	Failed                         // there is an outcome: a failure
)

// Result is how the last thing ended that was asked of the database.
type Result int

// The endings: success, and the classes of faults.
const (
	ResultOK Result = iota
	ResultTransient
	ResultPermanent
	ResultOutage
)

// Phase is how far the process is on its way to its end.
type Phase int

// The phases.
const (
	Serving  Phase = iota
	Draining       // no requests are taken; what runs may finish, nothing is waited for
	Stopping       // what runs is cut short: its faults may be our own doing
)

// Facts are all that the fate of a delivery depends on.
type Facts struct {
	Ledger LedgerState
	Result Result // where Ledger is Unread or Claimed
	Last   bool   // where Claimed: no attempt is left after this one
	Phase  Phase
}

// Settle is the table that decides a delivery. It is total, and the only place that decides: whoever meets an
// error adds a fact.
//
//  1. What was decided before is what is published: an outcome in the ledger outweighs everything else.
//  2. A message that is not an event has failed as soon as the ledger has it.
//  3. A failure is permanent by its cause, or for want of attempts; never by an outage, and never by a fault
//     that came while the process was being stopped.
//  4. The ledger's own faults are nobody's request: none fails for them. What only a person can mend (a right
//     that is missing) is waited for like an outage.
//  5. Nobody who leaves keeps a message waiting, for the database or for a delay of his own making.
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
	return Retry // Unread without a fault, while nobody leaves: nobody says so; nothing is lost
}

// resultOf is what a fault means to the table.
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

// stateOf is the ledger's state of a request that has this outcome.
func stateOf(o Outcome) LedgerState {
	if o.Provisioned() {
		return Provisioned
	}
	return Failed
}
