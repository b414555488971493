package client

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

const (
	heartbeat  = 2 * time.Second // the server confirms a pending pull request this often
	maxSilence = 2 * heartbeat   // after it, the consumer or the server is lost
	pullExpiry = 30 * time.Second
)

var errDisconnected = errors.New("the connection to NATS was lost")

// puller receives the messages of a pull consumer, with one pull request at a time.
//
// The client library takes a message with an empty body and a Status header for a status of the server, and neither
// returns nor acknowledges it, so that any publisher can stop it. (nats.go 1.55.0, jetstream/message.go: checkMsg) Here
// only the reply subject counts, which publishers cannot set.
type puller struct {
	conn    *nats.Conn
	subject string // of pull requests
	request []byte
	batch   int
	sub     *nats.Subscription
	arrived chan *nats.Msg
	lost    chan nats.Status // receives when the connection is lost
	left    int              // messages that the pull request may still deliver
}

// newPuller subscribes. The caller calls close.
func newPuller(js jetstream.JetStream, stream, consumer string, batch int) (*puller, error) {
	request, err := json.Marshal(map[string]any{ // nats-server, JSApiConsumerGetNextRequest
		"batch": batch, "expires": pullExpiry, "idle_heartbeat": heartbeat,
	})
	if err != nil {
		return nil, err
	}
	p := &puller{
		conn: js.Conn(), subject: apiSubject(js, "CONSUMER.MSG.NEXT."+stream+"."+consumer), request: request, batch: batch,
		arrived: make(chan *nats.Msg, 2*batch+16), // room for all messages and for heartbeats
	}
	if p.sub, err = p.conn.ChanSubscribe(p.conn.NewInbox(), p.arrived); err != nil {
		return nil, err
	}
	p.lost = p.conn.StatusChanged(nats.DISCONNECTED, nats.RECONNECTING, nats.CLOSED)
	return p, nil
}

// next blocks until there is a message, the pull request fails, or ctx ends.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	silence := time.NewTimer(maxSilence)
	defer silence.Stop()
	for {
		if p.left == 0 {
			if err := p.conn.PublishRequest(p.subject, p.sub.Subject, p.request); err != nil {
				return nil, err
			}
			p.left = p.batch
		}
		select {
		case msg := <-p.arrived:
			silence.Reset(maxSilence)
			if strings.HasPrefix(msg.Reply, "$JS.ACK.") {
				p.left = max(p.left-1, 0)
				return msg, nil
			}
			if err := p.handleStatus(msg); err != nil {
				return nil, err
			}
		case <-silence.C:
			return nil, explain(p.conn, jetstream.ErrNoHeartbeat, p.subject)
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
	switch code {
	case "100": // a heartbeat
		return nil
	case "404", "408": // no messages, expired
		p.left = 0
		return nil
	}
	return fmt.Errorf("the server ended the pull request: %s %s", code, text)
}

func (p *puller) close() {
	p.conn.RemoveStatusListener(p.lost)
	p.sub.Unsubscribe() //nolint:errcheck // it fails only if the connection or the subscription has ended
}
