package page

import (
	"context"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
)

// queue is the state of the stream of requests and its consumer.
type queue struct{ handler.Queue }

func readQueue(ctx context.Context, js jetstream.JetStream, _ queue) (queue, error) {
	q, err := handler.ReadQueue(ctx, js)
	return queue{q}, err
}

// Durable is the name of the durable consumer.
func (queue) Durable() string { return events.DurableConsumer }

// Aged reports whether the oldest request has waited for more than half of the stream's maximum age.
func (q queue) Aged(now time.Time) bool { return q.MaxAge > 0 && q.Age(now) > q.MaxAge/2 }

// peer is a server that holds the durable consumer.
type peer struct {
	Name, Role, State string
	Fault             bool
	Lag               uint64        // operations that it is behind
	Seen              time.Duration // since the leader last heard from it; 0 for the leader
}

// Peers returns the leader and the replicas of the durable consumer; none for a single server.
func (q queue) Peers() []peer {
	c := q.Cluster
	if c == nil {
		return nil
	}
	leader := peer{Name: c.Leader, Role: "leader", State: "current"}
	if c.Leader == "" {
		leader = peer{Name: "none", Role: "leader", State: "not elected: requests cannot be taken", Fault: true}
	}
	peers := []peer{leader}
	for _, r := range c.Replicas {
		p := peer{Name: r.Name, Role: "replica", State: "current", Lag: r.Lag, Seen: r.Active}
		switch {
		case r.Offline:
			p.State, p.Fault = "offline", true
		case !r.Current:
			p.State, p.Fault = "behind", true
		}
		peers = append(peers, p)
	}
	return peers
}
