package doctor

import (
	"context"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	// durableName is how the nats CLI is told of the durable consumer.
	durableName = events.StreamRequests + " " + events.DurableConsumer
	// shortAckWait is what a pause of a process or of the network easily takes.
	shortAckWait = 5 * time.Second
	// heldPerWorker is how many messages a worker may have in hand.
	heldPerWorker = 2
	// manyRedelivered is more than a few requests that met a passing fault.
	manyRedelivered = 10
)

// examineConsumer looks at the durable consumer, and at who takes from it.
func (n *prober) examineConsumer(ctx context.Context, s handler.TopologyStatus) []Finding {
	info := s.Consumer.Info
	checks := []Finding{checkContract(n.c, "durable_consumer", events.DurableConsumer, info != nil, s.Consumer.Err,
		"stop the service, then: nats consumer rm "+durableName+
			" # it is created again, and the ledger knows what was served")}
	if info == nil {
		return checks
	}
	checks = append(checks, checkConsumerLimits(n.c, info.Config), checkPaused(info))
	var queue handler.Queue
	err := n.ask(ctx, func(ctx context.Context) (err error) {
		queue, err = handler.ReadQueue(ctx, n.js)
		return err
	})
	if err != nil {
		return append(checks, unreadableByUser("requests_age", "allow the user to publish on $JS.API.STREAM.MSG.GET."+
			events.StreamRequests, err))
	}
	return append(checks, checkService(queue, info, n.now()), checkRedelivered(queue), checkAge(queue, n.now()))
}

func checkConsumerLimits(c config.Config, config jetstream.ConsumerConfig) Finding {
	const name = "consumer_limits"
	edit := func(flag string) string {
		if c.Manage {
			return "restart the service: it sets ack_wait and max_ack_pending itself"
		}
		return "nats consumer edit " + durableName + " " + flag
	}
	hold := heldPerWorker * c.Concurrency
	switch most := config.MaxAckPending; {
	case most > 0 && most < hold:
		return warning(name, edit("--max-pending=-1"), "max_ack_pending is %d: one replica alone can hold %d requests, and "+
			"what waits for its next attempt counts as well", most, hold)
	case most > 0:
		return warning(name, edit("--max-pending=-1"), "max_ack_pending is %d: when as many requests wait for their next "+
			"attempt, no other is taken", most)
	case config.AckWait != c.AckWait:
		return warning(name, edit("--wait="+c.AckWait.String())+"\nor set ACK_WAIT="+config.AckWait.String(),
			"ack_wait is %s, ACK_WAIT is %s: they should be equal, leases of attempts go by the latter",
			config.AckWait, c.AckWait)
	case config.AckWait < shortAckWait:
		return warning(name, "set ACK_WAIT to 30s",
			"ack_wait is %s: a pause of the process or of the network as long as that "+
				"has requests delivered twice", config.AckWait)
	}
	return ok(name, "ack_wait is %s, no limit on messages in flight", config.AckWait)
}

func checkPaused(info *jetstream.ConsumerInfo) Finding {
	const name = "consumer_paused"
	if info.Paused {
		return fault(name, "nats consumer resume "+durableName, "it is paused for another %s: no requests are taken",
			info.PauseRemaining.Round(time.Second))
	}
	return ok(name, "not paused")
}

// checkService tells whether somebody takes requests. A replica that has all hands full pulls nothing: what was
// delivered lately tells it from one that is gone.
func checkService(q handler.Queue, info *jetstream.ConsumerInfo, now time.Time) Finding {
	const name = "consumer_service"
	busy := q.InFlight > 0 && info.Delivered.Last != nil && now.Sub(*info.Delivered.Last) < info.Config.AckWait
	switch {
	case q.Paused: // it gives out nothing, whoever asks
		return ok(name, "unknown while the consumer is paused")
	case q.Pulls == 0 && !busy:
		return warning(name, "start the service; if it runs, check its /readyz and its log", "no client takes requests: the "+
			"service does not run here, or is not ready; %d wait", q.Lag())
	case q.Pulls == 0:
		return ok(name, "all workers are busy: %d in flight, %d waiting", q.InFlight, q.Pending)
	}
	return ok(name, "requests are taken: %d in flight, %d waiting", q.InFlight, q.Pending)
}

func checkRedelivered(q handler.Queue) Finding {
	const name = "consumer_redelivered"
	if q.Redelivered >= manyRedelivered {
		return warning(name, "consumer requests show SOURCE ID # the causes of its attempts; the service's log has them too",
			"%d of the %d requests in flight are redeliveries: attempts fail, or replicas stop while they work",
			q.Redelivered, q.InFlight)
	}
	return ok(name, "%d of %d in flight", q.Redelivered, q.InFlight)
}

// checkAge compares how long the oldest request waits with when the stream drops it.
func checkAge(q handler.Queue, now time.Time) Finding {
	const name = "requests_age"
	if q.Lag() == 0 {
		return ok(name, "all requests are settled")
	}
	age := q.Age(now).Round(time.Second)
	said := fmt.Sprintf("%d are not settled, the oldest for %s", q.Lag(), age)
	if q.MaxAge <= 0 {
		return ok(name, "%s", said)
	}
	said += fmt.Sprintf("; dropped after %s", q.MaxAge)
	const hint = "have the service take them: see consumer_service, /readyz and its log; start more replicas, or " +
		"raise CONCURRENCY"
	switch share := float64(age) / float64(q.MaxAge); {
	case share >= 0.9:
		return fault(name, hint, "%s: requests are about to be lost", said)
	case share >= 0.5:
		return warning(name, hint, "%s", said)
	}
	return ok(name, "%s", said)
}
