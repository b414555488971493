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
	// sourceTimeout is the timeout of one source.
	sourceTimeout = 1500 * time.Millisecond
	// sourceGrace is how much longer a viewer waits for the source's own timeout error. After that the page is served
	// without the source.
	sourceGrace = 200 * time.Millisecond
)

var (
	errNotConnected = errors.New("NATS is not connected yet")
	errNoAnswer     = fmt.Errorf("NATS did not answer within %s: it is slow or unavailable, or the user lacks "+
		"permission for the request", sourceTimeout)
)

// answer is the value of a source. After a failure it has the last value, and the error.
type answer[T any] struct {
	Value T
	At    time.Time // when Value was read; zero: never
	Err   error     // why there is nothing newer; nil: Value is up to date
}

// Known reports whether there is a value, new or old.
func (a answer[T]) Known() bool { return !a.At.IsZero() }

// source is the last answer of a query, and the state of the query.
type source[T any] struct {
	every time.Duration // minimum interval between reads; 0: at each rendering

	mu        sync.Mutex
	last      answer[T]
	startedAt time.Time
	busy      chan struct{} // closed when the running read ends; nil: none runs
}

// read reads a T from JetStream. before is the last value.
type read[T any] func(ctx context.Context, js jetstream.JetStream, before T) (T, error)

// query reads the source, unless it was read within its interval, and returns its answer. If an earlier read still
// runs, query waits for that one.
func query[T any](ctx context.Context, p *Page, s *source[T], fn read[T]) answer[T] {
	s.mu.Lock()
	busy := s.busy
	if busy == nil && (s.startedAt.IsZero() || p.Now().Sub(s.startedAt) >= s.every) {
		busy = begin(ctx, p, s, fn)
	}
	s.mu.Unlock()
	answered := true
	if busy != nil {
		timer := time.NewTimer(p.timeout + sourceGrace)
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

// begin starts a read on behalf of all viewers: it goes on after one viewer's ctx has ended. The caller holds the
// source's lock.
func begin[T any](ctx context.Context, p *Page, s *source[T], fn read[T]) (busy chan struct{}) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	js, before := p.js, s.last.Value
	s.startedAt, s.busy = p.Now(), make(chan struct{})
	busy = s.busy
	p.reads.Go(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), p.timeout)
		defer cancel()
		var value T
		err := connected(js)
		if err == nil {
			value, err = fn(ctx, js, before)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.last.Err = explain(err); err == nil {
			s.last.Value, s.last.At = value, p.Now()
		}
		close(busy)
		s.busy = nil
	})
	return busy
}

// connected returns an error if there is no connection, so that no request waits for its timeout.
func connected(js jetstream.JetStream) error {
	if js == nil {
		return errNotConnected
	}
	if nc := js.Conn(); !nc.IsConnected() {
		return fmt.Errorf("there is no connection to NATS (%s)", nc.Status())
	}
	return nil
}

// explain replaces an error that means "no answer" by one that explains it.
func explain(err error) error {
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return errNoAnswer
	case errors.Is(err, nats.ErrNoResponders):
		return errors.New("NATS is available, but JetStream does not answer: it is disabled or has no leader")
	}
	return err
}
