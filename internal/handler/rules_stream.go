package handler

import (
	"fmt"
	"reflect"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
)

const (
	// minMsgSize is the maximum size of an outcome, in bytes.
	minMsgSize = 128 << 10
	// minDeadLetterSize is about the size of the smallest form of a dead letter, in bytes.
	minDeadLetterSize = 1 << 10
)

type streamConfig = jetstream.StreamConfig

// streamRules are the rules of a stream's settings. want is one of [Topology.streams].
var streamRules = rules[streamConfig]{
	"name":        {harmless: "the stream is found by its name"},
	"description": {harmless: "it is a text for people"},
	"metadata":    {harmless: "it is for people and other programs, but for the registry's id: see checkStamp"},
	"placement":   {harmless: "each server of a cluster serves alike"},
	"compression": {harmless: "messages are decompressed before they are delivered"},
	"first_seq":   {harmless: "sequences only need to grow"},

	"subjects": {must: func(got, want streamConfig) string {
		subjects := got.Subjects
		if want.Name == events.StreamRequests { // further ones are a later version's, or an operator's
			subjects = slices.DeleteFunc(slices.Clone(subjects), isBelowRequested)
		}
		if !sameSetting(reflect.ValueOf(subjects), reflect.ValueOf(want.Subjects)) {
			return settingText(reflect.ValueOf(want.Subjects))
		}
		return ""
	}, because: "messages of others are taken for its own, or its own are stored nowhere"},
	"retention": {equal: true, because: "messages are removed once they are read, or never stored"},
	"storage":   {equal: true, because: "a restart of the server loses messages in memory"},
	"discard":   {equal: true, because: "a full stream drops requests that wait, or refuses outcomes and dead letters"},
	"no_ack":    {equal: true, because: "publishing is never confirmed"},
	"num_replicas": {must: func(got, want streamConfig) string {
		if got.Replicas < want.Replicas {
			return fmt.Sprint("at least ", want.Replicas, " (NATS_REPLICAS)")
		}
		return ""
	}, because: "the loss of a server loses messages"},

	"max_age": {must: func(got, want streamConfig) string {
		if want.MaxAge != 0 && got.MaxAge != want.MaxAge { // of the others it is the operator's choice: see doctor
			return want.MaxAge.String()
		}
		return ""
	}, because: "requests are dropped before they are served, or kept for ever"},
	"max_msgs_per_subject":    {equal: true, because: "the oldest messages of a subject are dropped"},
	"discard_new_per_subject": {equal: true, because: "a dead letter cannot replace an older one of the same request"},
	"max_msgs":                {harmless: "doctor warns before the stream refuses or drops messages, as with max_bytes"},
	"max_bytes": {must: func(got, want streamConfig) string {
		if want.Name == events.StreamRequests || got.MaxBytes <= 0 || got.MaxBytes >= minMsgSize {
			return ""
		}
		return fmt.Sprint("unlimited, or at least ", minMsgSize)
	}, because: "a message is dropped as soon as it is stored"},
	"max_msg_size": {must: func(got, want streamConfig) string {
		least := map[string]int32{events.StreamEvents: minMsgSize, events.StreamDeadLetters: minDeadLetterSize}[want.Name]
		if got.MaxMsgSize <= 0 || got.MaxMsgSize >= least { // a publisher learns that its request is too large
			return ""
		}
		return fmt.Sprint("unlimited, or at least ", least)
	}, because: "outcomes or dead letters are refused"},
	"max_consumers": {harmless: "creating one consumer too many fails, and the error says so"},
	"duplicate_window": {must: func(got, want streamConfig) string {
		if want.Name == events.StreamEvents && got.Duplicates != want.Duplicates {
			return want.Duplicates.String()
		}
		return "" // requests have the ledger, dead letters the last sequence of their subject
	}, because: "an outcome that is published again is stored twice, or not at all"},

	"sealed":     {equal: true, because: "nothing can be stored"},
	"deny_purge": {harmless: "the service purges nothing"},
	"deny_delete": {
		must:    only(events.StreamDeadLetters, func(got streamConfig) bool { return got.DenyDelete }),
		because: "a dead letter that is replayed or removed stays",
	},
	"allow_rollup_hdrs": {equal: true, because: "a publisher's Nats-Rollup header removes the messages of others"},
	"allow_msg_ttl": {
		must:    only(events.StreamRequests, func(got streamConfig) bool { return got.AllowMsgTTL }),
		because: "a request with a Nats-TTL header is removed before it has an outcome",
	},
	"subject_delete_marker_ttl": {equal: true, because: "the server stores markers in place of what it removes"},
	"allow_msg_counter":         {equal: true, because: "the server refuses all messages that are not counters"},
	"allow_msg_schedules":       {equal: true, because: "the server publishes messages again and removes them"},
	"allow_atomic":              {harmless: "the messages of a batch are stored like others"},
	"allow_batched":             {harmless: "the messages of a batch are stored like others"},
	"persist_mode": {must: func(got, _ streamConfig) string {
		if got.PersistMode == jetstream.AsyncPersistMode {
			return "default"
		}
		return ""
	}, because: "a crash of the server loses messages that it has confirmed"},

	"mirror":            {equal: true, because: "nothing can be published to the stream"},
	"subject_transform": {equal: true, because: "messages are stored under other subjects, by which they are not found"},
	"sources": {must: func(got, want streamConfig) string {
		if want.Name != events.StreamRequests && len(got.Sources) > 0 {
			return "unset"
		}
		return "" // requests may come from another stream, such as that of a leaf node
	}, because: "outcomes or dead letters of others are taken for the service's, and replace them"},
	"republish": {must: func(got, _ streamConfig) string {
		if got.RePublish != nil && reachesTopology(got.RePublish.Destination) {
			return "unset, or to a destination outside of tenant.> and $JS.>"
		}
		return ""
	}, because: "copies are taken for requests, outcomes or dead letters"},
	"allow_direct":  {harmless: "the service does not read directly"},
	"mirror_direct": {harmless: "the service does not read directly"},
	"consumer_limits": {must: func(got, want streamConfig) string {
		if want.Name == events.StreamRequests && got.ConsumerLimits != (jetstream.StreamConsumerLimits{}) {
			return "unset"
		}
		return "" // a reader that exceeds them fails, and the error says so
	}, because: "the server removes the durable consumer while it is idle, or delivers nothing while many requests wait"},
	"template_owner": {harmless: "servers have no templates any more"},
}

// isBelowRequested reports whether the subject is below that of requests, such as one for requests of less urgency.
func isBelowRequested(subject string) bool {
	return strings.HasPrefix(subject, events.TypeRequested+".")
}

// only returns the rule of a switch that must be off in one stream.
func only(name string, isOn func(streamConfig) bool) func(got, want streamConfig) string {
	return func(got, want streamConfig) string {
		if want.Name == name && isOn(got) {
			return "false"
		}
		return ""
	}
}

// reachesTopology reports whether messages that are republished to the destination can reach a stream of the topology
// or the server's API.
func reachesTopology(destination string) bool {
	first, _, _ := strings.Cut(destination, ".")
	own, _, _ := strings.Cut(events.TypeRequested, ".")
	return first == own || strings.ContainsAny(first, "$*>{")
}
