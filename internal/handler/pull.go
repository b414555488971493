package handler

import (
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
	// heartbeat is how often the server confirms a pending pull request.
	heartbeat = 2 * time.Second
	// maxSilence is how long a pull request may be pending without any message or heartbeat before it is abandoned: the
	// consumer may have been deleted, or the server may be unavailable.
	maxSilence = 2 * heartbeat
	// pullExpiry is when the server ends a pull request for which no message has come. The next request follows at once.
	pullExpiry = 30 * time.Second
	// trialExpiry is the same of a trial, so that the server answers it at once. No max_expires is shorter. (nats-server
	// 2.15.2, consumer.go, checkConsumerCfg)
	trialExpiry = time.Millisecond
	// drainTimeout is how long drain waits for messages in transit. A message that is missed is redelivered after
	// AckWait.
	drainTimeout = 5 * time.Second
)

var (
	errPullExpired  = errors.New("the pull request has expired")
	errDisconnected = errors.New("the connection to NATS was lost")
)

// pullRequest is the body of a pull request. (nats-server, JSApiConsumerGetNextRequest)
type pullRequest struct {
	Batch     int           `json:"batch"`
	Expires   time.Duration `json:"expires"`
	Heartbeat time.Duration `json:"idle_heartbeat,omitempty"`
	Trial     bool          `json:"-"` // a first pull request has trialExpiry, so that its answer shows that pulls work
}

// puller receives messages from a pull consumer, with one pull request at a time.
//
// The client library's own pull takes every message with an empty body and a Status header for a status of the server:
// such a message is neither returned nor acknowledged, and uses up the pull request. It also reads the pin of a
// priority group from a header of any message. (nats.go 1.55.0, jetstream/message.go: checkMsg; pull.go: Next) A
// puller relies on the reply subject instead.
type puller struct {
	conn    *nats.Conn
	subject string // of pull requests
	request []byte // the next pull request
	later   []byte // all others
	batch   int
	once    bool // only one pull request; its end is errPullExpired

	sub     *nats.Subscription
	arrived chan *nats.Msg
	lost    chan nats.Status // receives when the connection is lost
	closed  chan struct{}    // closed with the subscription; nothing arrives after that
	pulled  bool             // the first pull request was sent
	left    int              // messages that the pull request may still deliver
}

// newPuller subscribes. The first call of next sends the first pull request. The caller calls drain or close.
func newPuller(js jetstream.JetStream, stream, consumer string, r pullRequest) (*puller, error) {
	later, err := json.Marshal(r)
	if err != nil {
		return nil, err
	}
	request := later
	if r.Trial {
		if request, err = json.Marshal(pullRequest{Batch: r.Batch, Expires: trialExpiry}); err != nil {
			return nil, err
		}
	}
	p := &puller{
		conn: js.Conn(), subject: APISubject(js, "CONSUMER.MSG.NEXT."+stream+"."+consumer),
		request: request, later: later, batch: r.Batch,
		// A slow reader must not lose messages: there is room for all of them and for heartbeats.
		arrived: make(chan *nats.Msg, 2*r.Batch+16), closed: make(chan struct{}),
	}
	if p.sub, err = p.conn.ChanSubscribe(p.conn.NewInbox(), p.arrived); err != nil {
		return nil, err
	}
	closed := sync.OnceFunc(func() { close(p.closed) }) // the client may call it twice if the connection is closed
	p.sub.SetClosedHandler(func(string) { closed() })
	p.lost = p.conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	return p, nil
}

// next returns the next message. It blocks until there is one or ctx ends. If the pull request fails it returns an
// error: [errDisconnected], [jetstream.ErrNoHeartbeat], [jetstream.ErrConsumerDeleted], or one with the server's text.
// It calls answered for everything else that the server sends: messages, heartbeats, the end of a pull request.
func (p *puller) next(ctx context.Context, answered func()) (*Message, error) {
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		if p.left == 0 {
			if p.once && p.pulled {
				return nil, errPullExpired
			}
			err := p.conn.PublishRequest(p.subject, p.sub.Subject, p.request)
			if errors.Is(err, nats.ErrReconnectBufExceeded) {
				return nil, errDisconnected
			}
			if err != nil {
				return nil, err
			}
			p.pulled, p.left, p.request = true, p.batch, p.later
		}
		select {
		case msg := <-p.arrived:
			silence.Reset(maxSilence)
			if isDelivered(msg) {
				answered()
				p.left = max(p.left-1, 0)
				return &Message{msg, p.conn}, nil
			}
			if err := p.handleStatus(msg); err != nil {
				return nil, err
			}
			answered()
		case <-silence.C:
			return nil, fmt.Errorf("the server has not answered a pull request for %s: %w", maxSilence, jetstream.ErrNoHeartbeat)
		case <-p.lost:
			return nil, errDisconnected
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// handleStatus handles a status of the server. (nats-server 2.15.2, consumer.go: "NATS/1.0 4…", sendErr)
func (p *puller) handleStatus(status *nats.Msg) error {
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
	return fmt.Errorf("the server rejected the pull request: %s %s", code, text)
}

// close ends the subscription. Messages in transit are lost, which only matters if they must be acknowledged: see
// drain.
func (p *puller) close() {
	p.conn.RemoveStatusListener(p.lost)
	p.sub.Unsubscribe() //nolint:errcheck // it fails only if the connection or the subscription has ended
}

// drain ends the subscription and returns the messages that the server had sent by then; it waits at most drainTimeout
// for them. The server then drops the pull request, because its inbox has no subscriber.
func (p *puller) drain() (late []*Message) {
	p.conn.RemoveStatusListener(p.lost)
	end := p.sub.Drain
	if !p.conn.IsConnected() {
		end = p.sub.Unsubscribe // nothing is in transit
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

// fetch returns up to n stored messages. It waits for them no longer than wait.
func fetch(
	ctx context.Context, js jetstream.JetStream, stream, consumer string, n int, wait time.Duration,
) (all []*Message, err error) {
	p, err := newPuller(js, stream, consumer, pullRequest{Batch: n, Expires: wait})
	if err != nil {
		return nil, err
	}
	p.once = true
	defer p.close()
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
