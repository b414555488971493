package handler

import "time"

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
