package handler

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	// heartbeat is how often the server confirms that a pull request still stands.
	heartbeat = 2 * time.Second
	// maxSilence is how long a pull request may stand without any message or heartbeat before it is given up: the
	// consumer may have been deleted, or the server may be unavailable.
	maxSilence = 2 * heartbeat
	// pullExpiry is when the server ends a pull request for which no message has come. The next one follows at once.
	pullExpiry = 30 * time.Second
	// drainTimeout bounds the wait for messages that were on their way when a puller ends.
	drainTimeout = time.Second
)

var (
	errPullExpired  = errors.New("the pull request has expired")
	errDisconnected = errors.New("the connection to NATS was lost")
)

// pullRequest is what a consumer is asked for. (nats-server, JSApiConsumerGetNextRequest)
type pullRequest struct {
	Batch     int           `json:"batch"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
}

// puller takes messages from a pull consumer, with one pull request at a time.
//
// The client library's own pull takes every message without a body and with a header Status for a status of the
// server's: such a message is neither returned nor settled, and uses up the pull request. It also takes the pin of a
// priority group from a header of any message. (nats.go 1.55.0, jetstream/message.go: checkMsg; pull.go: Next) A puller
// goes by the reply subject.
type puller struct {
	conn    *nats.Conn
	subject string // of pull requests
	request []byte
	batch   int
	once    bool // one pull request only: its end is errPullExpired

	sub     *nats.Subscription
	arrived chan *nats.Msg
	lost    chan nats.Status // the connection
	closed  chan struct{}    // the subscription, after which nothing arrives
	probed  bool
	left    int // messages that the pull request may still bring
}

// newPuller subscribes. Nothing is asked for before the first call of next. The caller calls drain.
func newPuller(js jetstream.JetStream, stream, consumer string, r pullRequest) (*puller, error) {
	request, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	p := &puller{
		conn: js.Conn(), subject: apiSubject(js, "CONSUMER.MSG.NEXT."+stream+"."+consumer), request: request, batch: r.Batch,
		// A slow reader must not lose messages: there is room for all of them, and for heartbeats beside.
		arrived: make(chan *nats.Msg, 2*r.Batch+16), closed: make(chan struct{}),
	}
	if p.sub, err = p.conn.ChanSubscribe(p.conn.NewInbox(), p.arrived); err != nil {
		return nil, err
	}
	closed := sync.OnceFunc(func() { close(p.closed) }) // the client may call it twice where the connection is closed
	p.sub.SetClosedHandler(func(string) { closed() })
	p.lost = p.conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	return p, nil
}

// next returns the next message. It blocks until there is one or ctx ends, and returns an error where the pull
// request has failed: [errDisconnected], [jetstream.ErrNoHeartbeat], [jetstream.ErrConsumerDeleted], or the server's
// own words. alive is called for everything that the server sends.
func (p *puller) next(ctx context.Context, alive func()) (*Message, error) {
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		if p.left == 0 {
			if p.once && p.probed {
				return nil, errPullExpired
			}
			err := p.conn.PublishRequest(p.subject, p.sub.Subject, p.request)
			if errors.Is(err, nats.ErrReconnectBufExceeded) {
				return nil, errDisconnected
			}
			if err != nil {
				return nil, err
			}
			p.probed, p.left = true, p.batch
		}
		select {
		case msg := <-p.arrived:
			alive()
			silence.Reset(maxSilence)
			if isDelivered(msg) {
				p.left = max(p.left-1, 0)
				return &Message{msg, p.conn}, nil
			}
			if err := p.heed(msg); err != nil {
				return nil, err
			}
		case <-silence.C:
			return nil, jetstream.ErrNoHeartbeat
		case <-p.lost:
			return nil, errDisconnected
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// heed takes a status of the server's. (nats-server 2.15.2, consumer.go: "NATS/1.0 4…", sendErr)
func (p *puller) heed(status *nats.Msg) error {
	code, text := status.Header.Get("Status"), status.Header.Get("Description")
	says := func(part string) bool { return strings.Contains(strings.ToLower(text), part) }
	switch {
	case code == "100": // a heartbeat
		return nil
	case code == "404", code == "408", // no messages, expired
		code == "409" && (says("leadership change") || says("server shutdown")):
		p.left = 0
		return nil
	case code == "409" && says("consumer deleted"):
		return jetstream.ErrConsumerDeleted
	case code == "503":
		return nats.ErrNoResponders
	}
	return fmt.Errorf("the server refuses the pull request: %s %s", code, text)
}

// drain ends the subscription and returns what the server had sent by then, with a bound on the wait for it. After that
// the server has dropped the pull request, because it goes nowhere.
func (p *puller) drain() (late []*Message) {
	p.conn.RemoveStatusListener(p.lost)
	end := p.sub.Drain
	if !p.conn.IsConnected() {
		end = p.sub.Unsubscribe // nothing is on its way
	}
	if end() == nil {
		timeout := time.NewTimer(drainTimeout)
		defer timeout.Stop()
		select {
		case <-p.closed:
		case <-timeout.C:
		}
	}
	for {
		select {
		case msg := <-p.arrived:
			if isDelivered(msg) {
				late = append(late, &Message{msg, p.conn})
			}
		default:
			return late
		}
	}
}

// fetch takes at most n messages that are there already, and waits for them at most so long.
func fetch(
	ctx context.Context, js jetstream.JetStream, stream, consumer string, n int, wait time.Duration,
) (all []*Message, err error) {
	p, err := newPuller(js, stream, consumer, pullRequest{Batch: n, Expires: wait})
	if err != nil {
		return nil, err
	}
	p.once = true
	defer p.drain()
	for len(all) < n && err == nil {
		var msg *Message
		if msg, err = p.next(ctx, func() {}); err == nil {
			all = append(all, msg)
		}
	}
	if errors.Is(err, errPullExpired) || errors.Is(err, jetstream.ErrNoHeartbeat) {
		err = nil
	}
	return all, err
}

// apiSubject is the subject of an operation of JetStream's API, such as STREAM.INFO.name.
func apiSubject(js jetstream.JetStream, operation string) string {
	options := js.Options()
	prefix := cmp.Or(options.APIPrefix, apiSubjects)
	if options.Domain != "" {
		prefix = "$JS." + options.Domain + ".API."
	}
	return strings.TrimSuffix(prefix, ".") + "." + operation
}
