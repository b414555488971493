package handler

import (
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

// minWaiting is the least number of pull requests that the consumer must hold: each replica has one, and a replica that
// ended without notice leaves one for [pullExpiry]. The server does not answer those that are too many.
const minWaiting = 16

type consumerConfig = jetstream.ConsumerConfig

// consumerRules are the rules of the durable consumer's settings. want is [Topology.consumer].
var consumerRules = rules[consumerConfig]{
	"name":        {harmless: "the consumer is found by its name"},
	"description": {harmless: "it is a text for people"},
	"metadata":    {harmless: "it is for people and other programs; see isRecreated"},
	"sample_freq": {harmless: "the server publishes advisories about acknowledgements"},
	"direct":      {harmless: "the server refuses it of a durable consumer"},
	"sourcing":    {harmless: "servers set it on consumers that feed another stream; the client library does not show it"},

	"durable_name": {equal: true, because: "the server removes the consumer while it is idle"},
	"ack_policy":   {equal: true, because: "requests count as served before they are"},
	"max_deliver":  {equal: true, because: "requests are dropped after so many deliveries, without an outcome"},
	"backoff":      {equal: true, because: "it replaces ack_wait, so that requests in work are redelivered"},
	"headers_only": {equal: true, because: "requests are delivered without their bodies"},
	"deliver_policy": {must: func(got, _ consumerConfig) string {
		if got.DeliverPolicy != jetstream.DeliverAllPolicy && !isRecreated(got) {
			return jetstream.DeliverAllPolicy.String()
		}
		return ""
	}, because: "requests are skipped"},
	"opt_start_seq": {must: func(got, _ consumerConfig) string {
		if got.OptStartSeq != 0 && !isRecreated(got) {
			return "unset"
		}
		return ""
	}, because: "requests are skipped"},
	"opt_start_time": {equal: true, because: "requests are skipped"},
	"filter_subject": {must: func(got, _ consumerConfig) string {
		if got.FilterSubject != "" && got.FilterSubject != events.TypeRequested {
			return "unset, or " + events.TypeRequested
		}
		return ""
	}, because: "requests are not delivered"},
	"filter_subjects": {equal: true, because: "requests are not delivered"},
	"replay_policy":   {equal: true, because: "requests are delivered as slowly as they were published"},
	"rate_limit_bps":  {equal: true, because: "requests are held back"},
	"mem_storage":     {equal: true, because: "a restart of the server has all requests delivered again"},

	"deliver_subject": {equal: true, because: "the server refuses pull requests"},
	"deliver_group":   {equal: true, because: "it is of push consumers"},
	"flow_control":    {equal: true, because: "it is of push consumers"},
	"idle_heartbeat":  {equal: true, because: "it is of push consumers"},

	"priority_policy":  {equal: true, because: "the server refuses pull requests that name no group"},
	"priority_groups":  {equal: true, because: "the server refuses pull requests that name no group"},
	"priority_timeout": {equal: true, because: "the server refuses pull requests that name no group"},
	"pause_until":      {harmless: "a pause ends by itself; while it lasts the service is not ready and says why"},

	// Numbers. With NATS_MANAGE_STREAMS the service sets them.
	"ack_wait": {
		harmless: "the service extends the deadline by the consumer's value; doctor warns if it is not ACK_WAIT",
		correct:  func(got *consumerConfig, want consumerConfig) { got.AckWait = want.AckWait },
	},
	"max_ack_pending": {
		harmless: "requests beyond it wait; doctor warns",
		correct:  func(got *consumerConfig, want consumerConfig) { got.MaxAckPending = want.MaxAckPending },
	},
	"max_expires": {
		must: func(got, _ consumerConfig) string {
			if got.MaxRequestExpires != 0 && got.MaxRequestExpires < pullExpiry {
				return fmt.Sprint("unset, or at least ", pullExpiry)
			}
			return ""
		},
		because: "the server refuses pull requests",
		correct: func(got *consumerConfig, _ consumerConfig) {
			if got.MaxRequestExpires < pullExpiry {
				got.MaxRequestExpires = 0
			}
		},
	},
	"inactive_threshold": {
		equal:   true,
		because: "the server removes the consumer while no replica runs, and has all requests delivered again",
		correct: func(got *consumerConfig, _ consumerConfig) { got.InactiveThreshold = 0 },
	},
	"num_replicas": {
		must: func(got, want consumerConfig) string {
			if got.Replicas != 0 && got.Replicas < want.Replicas {
				return fmt.Sprint("unset, or at least ", want.Replicas, " (NATS_REPLICAS)")
			}
			return ""
		},
		because: "the loss of a server stops the service",
		correct: func(got *consumerConfig, want consumerConfig) {
			if got.Replicas < want.Replicas {
				got.Replicas = 0 // as many as the stream has
			}
		},
	},
	"max_batch": {harmless: "a pull request asks for one message"},
	"max_bytes": {harmless: "a pull request names no size"},
	"max_waiting": {must: func(got, _ consumerConfig) string {
		if got.MaxWaiting != 0 && got.MaxWaiting < minWaiting {
			return fmt.Sprint("at least ", minWaiting)
		}
		return ""
	}, because: "the server does not answer the pull requests of some replicas"},
}
