package natsconn

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	// stagger is the time between the first attempts at two servers, or at two addresses of one. Where the first one
	// answers at once, the others are left alone.
	stagger = 250 * time.Millisecond
	// maxUnused is how long a connection may wait for the client. A server closes one that does not log in within 2 s.
	maxUnused = 1500 * time.Millisecond
	// maxJitter is the random part of the pause between two rounds, so that replicas do not reconnect together.
	maxJitter = 100 * time.Millisecond
)

// dialer connects to servers outside of the client's lock. The client itself dials while it holds its lock, and looks
// names up without a limit (nats.go 1.55.0, createConn): every call of the client would wait for a name server, so that
// neither a signal to stop nor a probe would get through.
//
// The dialer tries all servers side by side, in goroutines of its own. The client takes a connection once it is ready;
// until then Dial fails at once, and the client pauses (see pause) and calls again. Only a first connection that the
// caller waits for is waited for in Dial (wait): no other goroutine has the client yet.
type dialer struct {
	ctx     context.Context //nolint:containedctx // Dial has none; it ends all attempts
	cancel  context.CancelFunc
	connect func(ctx context.Context, address string, phase func(string)) (net.Conn, error)
	before  []func() error // called before the client logs in, under its lock; an error is that of the server

	configured []string // host:port, as the client names them

	mu         sync.Mutex
	wait       bool
	servers    map[string]*target // by host:port
	ended      chan struct{}      // closed when an attempt ends
	last       string             // the server whose connection the client took last
	taken      bool               // the client took a connection since the last pause
	background sync.WaitGroup
}

// target is a server, and the attempt to connect to it.
type target struct {
	asked   bool     // the client has asked for it
	attempt *attempt // nil: none runs
	conn    net.Conn // ready for the client
	err     error    // why the last attempt failed, or why the server refused the client; nil: nothing failed yet
	untold  bool     // the client has not got err yet
}

type attempt struct {
	cancel context.CancelFunc
	phase  string // what it waits for
}

var (
	errConnecting = errors.New("the connection is being made")
	errOther      = errors.New("another server has answered first")
)

// newDialer returns a dialer for these servers, each host:port. The client may name others, which it learns from a
// server. With wait the first Dial waits for a result.
func newDialer(ctx context.Context, servers []string, speaksFirst, wait bool) *dialer {
	ctx, cancel := context.WithCancel(ctx)
	d := &dialer{
		ctx: ctx, cancel: cancel, connect: connector{speaksFirst: speaksFirst}.connect, wait: wait,
		configured: servers, ended: make(chan struct{}),
	}
	d.forget()
	return d
}

// forget removes all targets but the configured ones. The caller holds the lock, or is the only one to have d.
func (d *dialer) forget() {
	d.servers = map[string]*target{}
	for _, address := range d.configured {
		d.servers[address] = &target{}
	}
}

// Dial implements [nats.CustomDialer]. The client calls it under its lock.
func (d *dialer) Dial(_, address string) (net.Conn, error) {
	for _, before := range d.before {
		if err := before(); err != nil {
			return nil, d.failed(address, err)
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	t := d.servers[address]
	if t == nil {
		t = &target{}
		d.servers[address] = t
	}
	t.asked = true
	d.begin(address, t)
	for other, t := range d.servers {
		if !d.wait || t.err == nil { // a first connection tries each server once
			d.begin(other, t)
		}
	}
	for {
		switch {
		case t.conn != nil:
			conn := t.conn
			t.conn, d.last, d.taken = nil, address, true
			return conn, nil
		case t.untold:
			t.untold = false
			err := t.err
			if !d.wait {
				d.begin(address, t)
			}
			return nil, err
		case !d.wait:
			return nil, errConnecting
		case d.anyReady(false):
			return nil, errOther
		case d.ctx.Err() != nil:
			return nil, context.Cause(d.ctx)
		}
		d.await(nil)
	}
}

// failed records why the client cannot use a server now, and returns it.
func (d *dialer) failed(address string, err error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.servers[address]; t != nil {
		t.err = err
	}
	return err
}

// begin starts an attempt, if none runs and the client has seen the result of the last one. The caller holds the lock.
func (d *dialer) begin(address string, t *target) {
	if t.attempt != nil || t.conn != nil || t.untold || d.ctx.Err() != nil {
		return
	}
	delay := time.Duration(0)
	for _, other := range d.servers {
		if other.attempt != nil {
			delay += stagger
		}
	}
	ctx, cancel := context.WithCancel(d.ctx)
	a := &attempt{cancel: cancel}
	t.attempt = a
	d.background.Go(func() {
		defer cancel()
		var conn net.Conn
		err := sleep(ctx, delay)
		if err == nil {
			conn, err = d.connect(ctx, address, func(phase string) {
				d.mu.Lock()
				defer d.mu.Unlock()
				a.phase = phase
			})
		}
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.attempt != a { // it was abandoned
			closeConn(conn)
			return
		}
		t.attempt, t.conn = nil, conn
		if err != nil {
			t.err, t.untold = err, true
		} else {
			time.AfterFunc(maxUnused, func() { d.discard(t, conn) })
		}
		close(d.ended)
		d.ended = make(chan struct{})
	})
}

// discard closes a connection that the client has not taken.
func (d *dialer) discard(t *target, conn net.Conn) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t.conn == conn {
		closeConn(conn)
		t.conn = nil
	}
}

// pause is the client's pause between two rounds through its servers; the client calls it without its lock. It ends as
// soon as a connection is ready. After one that a server refused it takes its whole time.
func (d *dialer) pause(int) time.Duration {
	whole := reconnectWait + rand.N(maxJitter) //nolint:gosec // it only spreads clients
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.taken {
		d.taken = false
		return whole
	}
	over := time.NewTimer(whole)
	defer over.Stop()
	for !d.anyReady(true) {
		if !d.await(over.C) {
			break
		}
	}
	return 0
}

// await waits until an attempt ends; false: the time is over or the dialer is closed. The caller holds the lock, which
// it does not have in between.
func (d *dialer) await(over <-chan time.Time) bool {
	ended := d.ended
	d.mu.Unlock()
	defer d.mu.Lock()
	select {
	case <-ended:
		return true
	case <-over:
	case <-d.ctx.Done():
	}
	return false
}

// anyReady reports whether the client can take a connection; with asked, from a server for which it has asked.
func (d *dialer) anyReady(asked bool) bool {
	for _, t := range d.servers {
		if t.conn != nil && (t.asked || !asked) {
			return true
		}
	}
	return false
}

// inBackground makes Dial return at once from now on.
func (d *dialer) inBackground() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wait = false
}

// refused records why the server refused the client, after it had accepted the connection.
func (d *dialer) refused(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if t := d.servers[d.last]; t != nil {
		t.err = err
	}
}

// lastTaken returns the server whose connection the client took last.
func (d *dialer) lastTaken() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.last
}

// configure replaces the servers.
func (d *dialer) configure(servers []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.configured = servers
	d.abandon()
}

// reset ends all attempts: the client is connected.
func (d *dialer) reset() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.taken = false
	d.abandon()
}

// abandon ends all attempts, and forgets what is known about servers. The caller holds the lock.
func (d *dialer) abandon() {
	for _, t := range d.servers {
		if t.attempt != nil {
			t.attempt.cancel()
		}
		closeConn(t.conn)
		t.attempt, t.conn = nil, nil
	}
	d.forget()
}

// close ends all attempts and waits for their goroutines.
func (d *dialer) close() {
	d.cancel()
	d.reset()
	d.background.Wait()
}

// why returns, for each server, why the last attempt failed, or what the first one waits for; nil: nothing was tried.
func (d *dialer) why() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	var all faults
	for address, t := range d.servers {
		switch {
		case t.err != nil:
			all = append(all, serverFault{address, t.err})
		case t.attempt != nil && t.attempt.phase != "":
			all = append(all, serverFault{address, errors.New(t.attempt.phase)})
		}
	}
	if len(all) == 0 {
		return nil
	}
	slices.SortFunc(all, func(a, b serverFault) int { return strings.Compare(a.address, b.address) })
	return all
}

// faults are the faults of several servers.
type faults []serverFault

type serverFault struct {
	address string
	err     error
}

// maxFaults is how many servers an error names.
const maxFaults = 5

func (f faults) Error() string {
	if len(f) == 1 {
		return f[0].err.Error()
	}
	var texts []string
	for _, fault := range f[:min(len(f), maxFaults)] {
		texts = append(texts, fmt.Sprintf("%s: %v", fault.address, fault.err))
	}
	if n := len(f) - maxFaults; n > 0 {
		texts = append(texts, fmt.Sprintf("and %d more", n))
	}
	return strings.Join(texts, "; ")
}

func (f faults) Unwrap() (all []error) {
	for _, fault := range f {
		all = append(all, fault.err)
	}
	return all
}

func closeConn(conn net.Conn) {
	if conn != nil {
		conn.Close() //nolint:errcheck // it is not used
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
