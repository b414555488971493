package doctor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
)

const (
	// shortAckWait is a duration that a pause of a process or of the network easily reaches.
	shortAckWait = 5 * time.Second
	// heldPerWorker is how many messages a worker may have in flight.
	heldPerWorker = 2
	// manyRedelivered is more than the few requests that a transient fault affects.
	manyRedelivered = 10
)

// examineConsumer checks the durable consumer, and whether a replica pulls from it. accountLimit is the account's limit
// on the consumers of a stream; 0: none, or unknown.
func (n *prober) examineConsumer(ctx context.Context, s handler.TopologyStatus, accountLimit int) []Finding {
	info := s.Consumer.Info
	if requests := s.Streams[0].Info; requests != nil && n.c.Manage && errors.Is(s.Consumer.Err, handler.ErrMissing) {
		err := handler.CheckConsumers(requests, accountLimit)
		if refused, ok := errors.AsType[*handler.RefusedError](err); ok {
			return []Finding{refusedFinding("durable_consumer", events.DurableConsumer, refused)}
		}
	}
	checks := []Finding{checkContract(n.c, "durable_consumer", events.DurableConsumer, info != nil, s.Consumer.Err,
		"stop the service, then: nats consumer rm "+handler.DurableName+
			" # the service creates it again; the ledger records which requests were served")}
	if info == nil {
		return checks
	}
	checks = append(checks, checkConsumerLimits(n.c, info.Config), checkPaused(info), checkFuture(n.c, s),
		n.checkSequence(ctx, s))
	queue := handler.QueueOf(info)
	return append(checks, checkService(queue, info, n.now()), checkRedelivered(queue), n.examineAge(ctx))
}

func (n *prober) examineAge(ctx context.Context) Finding {
	var queue handler.Queue
	err := n.request(ctx, func(ctx context.Context) (err error) {
		queue, err = handler.ReadQueue(ctx, n.js)
		return err
	})
	if err != nil {
		return unreadableByUser("requests_age", "allow the user to publish on "+
			n.apiSubject("STREAM.INFO."+events.StreamRequests)+" and "+
			n.apiSubject("STREAM.MSG.GET."+events.StreamRequests), err)
	}
	return checkAge(queue, n.now())
}

func checkConsumerLimits(c config.Config, config jetstream.ConsumerConfig) Finding {
	const name = "consumer_limits"
	edit := func(flag string) string {
		if c.Manage {
			return "start the service, or restart one replica: it sets this at its start; if it does not, see its log"
		}
		return "nats consumer edit " + handler.DurableName + " " + flag
	}
	unlimited := edit("--config=consumer.json")
	if !c.Manage { // the nats CLI ignores --max-pending=-1 (natscli 0.3.0)
		unlimited = "nats consumer info " + handler.DurableName +
			" --json | jq '.config | .max_ack_pending = -1' > consumer.json\n" + unlimited
	}
	hold := heldPerWorker * c.Concurrency
	switch most := config.MaxAckPending; {
	case most > 0 && most < hold:
		return warning(name, unlimited, "max_ack_pending is %d: one replica alone can hold %d requests, and "+
			"requests that wait for a retry count too", most, hold)
	case most > 0:
		return warning(name, unlimited, "max_ack_pending is %d: once that many requests wait for a retry, "+
			"the service receives no others", most)
	case config.AckWait != c.AckWait:
		return warning(name, edit("--wait="+c.AckWait.String())+"\nor set ACK_WAIT="+config.AckWait.String(),
			"ack_wait is %s, ACK_WAIT is %s: they should be equal, because leases of attempts use ACK_WAIT",
			config.AckWait, c.AckWait)
	case len(c.Topology().Corrections(config)) > 0:
		return warning(name, edit(""), "the service changes %s", strings.Join(c.Topology().Corrections(config), "; "))
	case config.AckWait < shortAckWait:
		return warning(name, "set ACK_WAIT to 30s",
			"ack_wait is %s: a pause of the process or the network of that length causes redelivery", config.AckWait)
	}
	return ok(name, "ack_wait is %s, no limit on messages in flight", config.AckWait)
}

func checkPaused(info *jetstream.ConsumerInfo) Finding {
	const name = "consumer_paused"
	if info.Paused {
		return fault(name, "nats consumer resume "+handler.DurableName, "it is paused for another %s: no requests are taken",
			info.PauseRemaining.Round(time.Second))
	}
	return ok(name, "not paused")
}

// checkService checks that a replica takes requests. A replica whose workers are all busy pulls nothing; a recent
// delivery distinguishes it from one that has stopped.
func checkService(q handler.Queue, info *jetstream.ConsumerInfo, now time.Time) Finding {
	const name = "consumer_service"
	busy := q.InFlight > 0 && info.Delivered.Last != nil && now.Sub(*info.Delivered.Last) < info.Config.AckWait
	switch {
	case q.Paused: // it delivers nothing, whether or not a replica pulls
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

// checkAge compares the age of the oldest unsettled request with the age at which the stream drops it.
func checkAge(q handler.Queue, now time.Time) Finding {
	const name = "requests_age"
	if q.Lag() == 0 {
		return ok(name, "all requests are settled")
	}
	age := q.Age(now).Round(time.Second)
	summary := fmt.Sprintf("%d are not settled, the oldest for %s", q.Lag(), age)
	if q.MaxAge <= 0 {
		return ok(name, "%s", summary)
	}
	summary += fmt.Sprintf("; dropped after %s", q.MaxAge)
	const hint = "check that the service takes requests (consumer_service, /readyz, its log); start more replicas, or " +
		"raise CONCURRENCY"
	switch share := float64(age) / float64(q.MaxAge); {
	case share >= 0.9:
		return fault(name, hint, "%s: requests are about to be lost", summary)
	case share >= 0.5:
		return warning(name, hint, "%s", summary)
	}
	return ok(name, "%s", summary)
}
