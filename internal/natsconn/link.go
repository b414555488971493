package natsconn

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/repeatlog"
)

// Pauses between two checks whether the user may subscribe to its inbox again.
const (
	minInboxPause = time.Second
	maxInboxPause = 10 * time.Second
)

// Link is a connection to NATS and what is known about it. The client's callbacks tell Link, so that its methods
// answer from memory: a probe never calls the client, which holds its lock while it writes and logs in.
//
// The client reconnects for ever, also where the server refuses the user. If the user loses the permission for its
// inbox, the server drops the subscriptions, and does not renew them when the permission is back. So Link then checks
// the inbox, and reconnects once the user may subscribe to it.
type Link struct {
	conn   *nats.Conn
	js     jetstream.JetStream
	client atomic.Pointer[nats.Conn] // conn, once it is set: for the dialer, which the client calls before that
	dialer *dialer                   // nil: a server in this process
	inbox  string                    // prefix of the user's inboxes
	losses *repeatlog.Log
	faults *repeatlog.Log

	refusals  refusals
	checkSoon chan struct{} // the inbox was refused

	mu        sync.Mutex // never held while the client is called
	connected bool
	lost      error // why there is no connection, as the client reported it
	refused   error // what is wrong with the server or the user of the connection
	changed   chan struct{}

	watching context.Context //nolint:containedctx // of watch; it ends with the connection
	stop     context.CancelFunc
	done     chan struct{}
}

func newLink(inbox string, log *slog.Logger) *Link {
	l := &Link{
		inbox: cmp.Or(inbox, strings.TrimSuffix(nats.InboxPrefix, ".")), losses: repeatlog.New(log),
		faults:    repeatlog.NewWithQuiet(log, quiet, "no further NATS errors"),
		checkSoon: make(chan struct{}, 1), changed: make(chan struct{}), done: make(chan struct{}),
	}
	l.watching, l.stop = context.WithCancel(context.Background())
	return l
}

// Conn is the client's connection.
func (l *Link) Conn() *nats.Conn { return l.conn }

// JetStream is the JetStream of the configuration, on this connection.
func (l *Link) JetStream() jetstream.JetStream { return l.js }

// Err returns nil while the connection is up and its user receives replies. Else it returns why not: for each server
// what it does not answer or refuses; an [InboxError]; or a [TooOldError].
func (l *Link) Err() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.connected {
		return l.refused
	}
	why := l.lost
	if l.dialer != nil && !errors.Is(why, nats.ErrConnectionClosed) {
		why = cmp.Or(l.dialer.why(), why)
	}
	if why = explain(why); why != nil {
		return fmt.Errorf("%w: %w", nats.ErrDisconnected, why)
	}
	return nats.ErrDisconnected
}

// Changed returns a channel that is closed when Err may have changed.
func (l *Link) Changed() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.changed
}

// Refused returns the server's last report, since the time, that the user may not publish to a subject with this
// prefix, or nil.
func (l *Link) Refused(prefix string, since time.Time) error { return l.refusals.of(prefix, since) }

// set changes the state and wakes who waits for a change.
func (l *Link) set(fn func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	fn()
	close(l.changed)
	l.changed = make(chan struct{})
}

// options are the callbacks. The client calls them one after the other, without its lock.
func (l *Link) options() []nats.Option {
	return []nats.Option{
		nats.ConnectHandler(l.up),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			l.up(nc)
			l.losses.Recovered("NATS connection is back")
		}),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			l.set(func() { l.connected, l.lost = false, err })
			if err != nil {
				l.losses.Warn("NATS connection lost; reconnecting", explain(err))
			}
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) {
			if !errors.Is(err, errConnecting) && !errors.Is(err, errServersChanged) { // the dialer knows it
				l.set(func() { l.lost = err })
			}
		}),
		nats.ClosedHandler(func(nc *nats.Conn) {
			l.set(func() { l.connected, l.lost = false, closed(nc.LastError()) })
			l.stop()
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			l.faults.Warn("NATS", err)
			l.refusals.note(err)
			if isInboxRefusal(err, l.inbox) {
				l.set(func() { l.refused = &InboxError{l.inbox + ".>"} })
				signal(l.checkSoon)
			}
		}),
	}
}

func (l *Link) up(nc *nats.Conn) {
	if l.dialer != nil {
		l.dialer.reset()
	}
	err := CheckVersion(nc.ConnectedServerName(), nc.ConnectedServerVersion())
	l.set(func() { l.connected, l.lost, l.refused = true, nil, err })
}

// watch renews the inbox, and learns why a server refuses the client after it has accepted the connection: the client
// has no callback for that. It ends with the connection.
func (l *Link) watch() {
	defer close(l.done)
	failed := l.conn.StatusChanged(nats.RECONNECTING)
	defer l.conn.RemoveStatusListener(failed)
	check := time.NewTimer(0)
	check.Stop()
	defer check.Stop()
	pause := minInboxPause
	for {
		select {
		case <-failed:
			l.noteFailure(l.conn.LastError())
		case <-l.checkSoon:
			check.Reset(pause)
		case <-check.C:
			if l.renewInbox(l.watching) {
				pause = minInboxPause
				continue
			}
			pause = min(2*pause, maxInboxPause)
			check.Reset(pause)
		case <-l.watching.Done():
			return
		}
	}
}

// noteFailure records the client's last error, unless it is one that leaves the connection up.
func (l *Link) noteFailure(err error) {
	if err == nil || errors.Is(err, nats.ErrPermissionViolation) || errors.Is(err, nats.ErrSlowConsumer) ||
		errors.Is(err, nats.ErrMaxSubscriptionsExceeded) {
		return
	}
	if l.dialer != nil {
		l.dialer.refused(err)
	}
	l.set(func() { l.lost = err })
}

// renewInbox reconnects if the user may subscribe to its inbox again, which renews all subscriptions. true: there is
// nothing left to do.
func (l *Link) renewInbox(ctx context.Context) bool {
	l.mu.Lock()
	_, refused := errors.AsType[*InboxError](l.refused)
	l.mu.Unlock()
	if !refused { // it has reconnected in between
		return true
	}
	if allowed, err := tryInbox(ctx, l.conn); err != nil || !allowed {
		return false
	}
	return l.conn.ForceReconnect() == nil
}

// Close flushes the connection, closes it, and waits for its goroutines. Without a connection it only closes: a flush
// would wait for its timeout.
func (l *Link) Close(ctx context.Context) {
	l.mu.Lock()
	connected := l.connected
	l.mu.Unlock()
	if connected {
		flushing, cancel := context.WithTimeout(context.WithoutCancel(ctx), flushTimeout)
		l.conn.FlushWithContext(flushing) //nolint:errcheck // a message whose acknowledgement is lost is redelivered
		cancel()
	}
	l.conn.Close()
	l.stop()
	<-l.done
	if l.dialer != nil {
		l.dialer.close()
	}
}

func closed(why error) error {
	if why == nil {
		return nats.ErrConnectionClosed
	}
	return fmt.Errorf("%w: %w", nats.ErrConnectionClosed, why)
}

func signal(to chan<- struct{}) {
	select {
	case to <- struct{}{}:
	default:
	}
}
