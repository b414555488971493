package handler

import "time"

// Backoff is the delay before a retry. It doubles from Min to Max. A random part between half and all of it is waited,
// so that workers that failed together do not retry together.
type Backoff struct {
	Min, Max time.Duration
	Random   func() float64 // in [0, 1)
}

// Delay is the delay after the nth failure, counted from 1.
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
