package page

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// sourceTimeout is how long one source may take.
	sourceTimeout = 1500 * time.Millisecond
	// sourceGrace is for a source to say itself that it took too long. One that does not even do that is left
	// alone until it ends.
	sourceGrace = 200 * time.Millisecond
)

var (
	errNotConnected = errors.New("NATS is not connected yet")
	errNoAnswer     = fmt.Errorf("NATS did not answer within %s: it is slow or unavailable, or the user lacks "+
		"permission for the request", sourceTimeout)
)

// answer is what a source has told. Where it tells nothing now, what it told before stands, with the reason.
type answer[T any] struct {
	Value T
	At    time.Time // when Value was told; zero: never
	Err   error     // why there is nothing newer; nil: Value is up to date
}

// Known reports whether there is a value, new or old.
func (a answer[T]) Known() bool { return !a.At.IsZero() }

// source is something that is asked, and its last answer.
type source[T any] struct {
	every time.Duration // not asked more often; 0: as often as the page is made

	mu    sync.Mutex
	last  answer[T]
	asked time.Time
	busy  chan struct{} // closed when it has answered; nil: it is not being asked
}

// read asks JetStream for a T. before is what was told last.
type read[T any] func(ctx context.Context, js jetstream.JetStream, before T) (T, error)

// ask has the source read, unless it was just now, and returns its answer. A source that is still at work since
// before is not asked a second time.
func ask[T any](ctx context.Context, p *Page, s *source[T], fn read[T]) answer[T] {
	s.mu.Lock()
	busy := s.busy
	if busy == nil && (s.asked.IsZero() || p.Now().Sub(s.asked) >= s.every) {
		busy = begin(ctx, p, s, fn)
	}
	s.mu.Unlock()
	answered := true
	if busy != nil {
		timer := time.NewTimer(sourceTimeout + sourceGrace)
		defer timer.Stop()
		select {
		case <-busy:
		case <-timer.C:
			answered = false
		case <-ctx.Done():
			answered = false
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	a := s.last
	if !answered {
		a.Err = errNoAnswer
	}
	return a
}

// begin starts to read, on behalf of all that look: the end of ctx is one viewer's. The caller holds the source's
// lock.
func begin[T any](ctx context.Context, p *Page, s *source[T], fn read[T]) (busy chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	js, before := p.js, s.last.Value
	s.asked, s.busy = p.Now(), make(chan struct{})
	busy = s.busy
	p.asking.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), sourceTimeout)
		defer cancel()
		var value T
		err := connected(js)
		if err == nil {
			value, err = fn(ctx, js, before)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.last.Err = plainly(err); err == nil {
			s.last.Value, s.last.At = value, p.Now()
		}
		close(busy)
		s.busy = nil
	})
	return busy
}

// connected spares the wait for an answer where nobody can hear the question.
func connected(js jetstream.JetStream) error {
	if js == nil {
		return errNotConnected
	}
	if nc := js.Conn(); !nc.IsConnected() {
		return fmt.Errorf("there is no connection to NATS (%s)", nc.Status())
	}
	return nil
}

// plainly says what no answer means.
func plainly(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return errNoAnswer
	case errors.Is(err, nats.ErrNoResponders):
		return errors.New("NATS is there, but JetStream does not answer: it is off, or has no leader now")
	}
	return err
}
