package handler

import (
	"fmt"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
)

// action is what is done with a message.
type action int

const (
	publishAndAck   action = iota // outcome, then acknowledge
	buryAndTerm                   // dead letter, outcome, then terminate
	redeliverLater                // negative acknowledgement with a delay
	redeliverNow                  // negative acknowledgement
	holdAndRunAgain               // keep the message; run the job again when the database is back
)

func (a action) String() string {
	switch a {
	case publishAndAck:
		return "publish and ack"
	case buryAndTerm:
		return "bury and term"
	case redeliverLater:
		return "redeliver later"
	case redeliverNow:
		return "redeliver now"
	case holdAndRunAgain:
		return "hold and run again"
	}
	return fmt.Sprintf("action %d", int(a))
}

// settle decides what is done with a message, from the result of its job alone.
func settle(r pipeline.Result) action {
	switch r.Verdict {
	case pipeline.Decided:
		if r.Outcome.Provisioned() {
			return publishAndAck
		}
		return buryAndTerm
	case pipeline.Held:
		return holdAndRunAgain
	case pipeline.Aborted:
		return redeliverNow
	case pipeline.Retry:
		return redeliverLater
	}
	return redeliverLater
}

// Backoff is the delay before something is tried again: doubling from Min to Max, of which between half
// and all is waited, so that those who failed together do not return together.
type Backoff struct {
	Min, Max time.Duration
	Random   func() float64 // in [0, 1)
}

// Delay is the delay after the nth failure, from 1.
func (b Backoff) Delay(n int) time.Duration {
	delay := b.Min
	for ; n > 1 && delay <= b.Max/2; n-- {
		delay *= 2
	}
	if n > 1 {
		delay = b.Max
	}
	return delay/2 + time.Duration(b.Random()*float64(delay/2))
}
