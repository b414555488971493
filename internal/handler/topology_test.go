package handler

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

const days = 24 * time.Hour

// bare is a server without streams.
func bare(t *testing.T) jetstream.JetStream {
	t.Helper()
	t.Parallel()
	js, err := jetstream.New(startNATS(t).connect(t))
	testkit.Must(t, err)
	return js
}

var managed = Topology{Replicas: 1, Manage: true, AckWait: 30 * time.Second}

func config(t *testing.T, js jetstream.JetStream, stream string) jetstream.StreamConfig {
	t.Helper()
	s, err := js.Stream(t.Context(), stream)
	testkit.Must(t, err)
	return s.CachedInfo().Config
}

// Contains asserts that an error contains all of these texts.
func Contains(t *testing.T, what string, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Errorf("%s: no error", what)
		return
	}
	for _, part := range parts {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%s: %q does not contain %q", what, err, part)
		}
	}
}

// The streams and the consumer have the settings of docs/delivery.md and docs/asyncapi.yaml.
func TestEnsureFollowsTheContract(t *testing.T) {
	js := bare(t)
	err := managed.Ensure(t.Context(), js)
	testkit.Must(t, err)
	for name, want := range map[string]jetstream.StreamConfig{
		"TENANT_REQUESTS": {
			Subjects: []string{"tenant.requested"}, MaxAge: 90 * days, Discard: jetstream.DiscardNew, MaxMsgsPerSubject: -1,
		},
		"TENANT_EVENTS": {
			Subjects:   []string{"tenant.provisioned", "tenant.provisioning_failed"},
			Duplicates: time.Hour, MaxMsgsPerSubject: -1,
		},
		"TENANT_DEAD_LETTERS": {Subjects: []string{"tenant.dead_letter.>"}, MaxMsgsPerSubject: 1},
	} {
		got := config(t, js, name)
		testkit.Equal(t, name+" subjects", strings.Join(got.Subjects, " "), strings.Join(want.Subjects, " "))
		testkit.Equal(t, name+" retention", got.Retention, jetstream.LimitsPolicy)
		testkit.Equal(t, name+" storage", got.Storage, jetstream.FileStorage)
		testkit.Equal(t, name+" replicas", got.Replicas, 1)
		testkit.Equal(t, name+" max age", got.MaxAge, want.MaxAge)
		testkit.Equal(t, name+" discard", got.Discard, want.Discard)
		testkit.Equal(t, name+" max messages per subject", got.MaxMsgsPerSubject, want.MaxMsgsPerSubject)
		testkit.Equal(t, name+" no ack", got.NoAck, false)
		if want.Duplicates > 0 {
			testkit.Equal(t, name+" duplicate window", got.Duplicates, want.Duplicates)
		}
	}
	consumer, err := js.Consumer(t.Context(), "TENANT_REQUESTS", "tenant-provisioner")
	testkit.Must(t, err)
	got := consumer.CachedInfo().Config
	testkit.Equal(t, "durable", got.Durable, "tenant-provisioner")
	testkit.Equal(t, "ack policy", got.AckPolicy, jetstream.AckExplicitPolicy)
	testkit.Equal(t, "ack wait", got.AckWait, managed.AckWait)
	testkit.Equal(t, "max deliver", got.MaxDeliver, -1)
	testkit.Equal(t, "backoff", len(got.BackOff), 0)
	testkit.Equal(t, "deliver policy", got.DeliverPolicy, jetstream.DeliverAllPolicy)
	testkit.Equal(t, "deliver subject", got.DeliverSubject, "")
	testkit.Equal(t, "filter", got.FilterSubject, "")
}

func TestEnsureAgainChangesNothing(t *testing.T) {
	js := bare(t)
	err := managed.Ensure(t.Context(), js)
	testkit.Must(t, err)
	created := func() (times []time.Time) {
		for _, name := range []string{events.StreamRequests, events.StreamEvents, events.StreamDeadLetters} {
			s, err := js.Stream(t.Context(), name)
			testkit.Must(t, err)
			times = append(times, s.CachedInfo().Created)
		}
		c, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		testkit.Must(t, err)
		return append(times, c.CachedInfo().Created)
	}
	before := created()
	for _, topology := range []Topology{managed, {Replicas: 1, AckWait: managed.AckWait}} {
		err = topology.Ensure(t.Context(), js)
		testkit.Must(t, err)
	}
	for i, after := range created() {
		testkit.Equal(t, "created", after, before[i])
	}
}

func TestConcurrentEnsure(t *testing.T) {
	js := bare(t)
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			if err := managed.Ensure(t.Context(), js); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

// Settings of the operator that the contract does not fix are kept.
func TestEnsureKeepsTheOperatorsSettings(t *testing.T) {
	js := bare(t)
	want := managed.streams()[0]
	want.MaxBytes, want.Description, want.Metadata = 1<<30, "ours", map[string]string{"team": "tenants"}
	_, err := js.CreateStream(t.Context(), want)
	testkit.Must(t, err)
	err = managed.Ensure(t.Context(), js)
	testkit.Must(t, err)
	got := config(t, js, want.Name)
	testkit.Equal(t, "max bytes", got.MaxBytes, want.MaxBytes)
	testkit.Equal(t, "description", got.Description, "ours")
}

func TestEnsureRefusesContradictions(t *testing.T) {
	t.Parallel()
	const requests, outcomes, letters = 0, 1, 2
	type stream = jetstream.StreamConfig
	for name, c := range map[string]struct {
		stream   int
		change   func(*stream)
		replicas int
		want     []string
	}{
		"retention":            {requests, func(s *stream) { s.Retention = jetstream.WorkQueuePolicy }, 1, []string{"retention", "WorkQueue", "Limits"}},
		"interest":             {outcomes, func(s *stream) { s.Retention = jetstream.InterestPolicy }, 1, []string{"retention", "Interest", "Limits"}},
		"storage":              {letters, func(s *stream) { s.Storage = jetstream.MemoryStorage }, 1, []string{"storage", "Memory", "File"}},
		"max_age":              {requests, func(s *stream) { s.MaxAge = 7 * days }, 1, []string{"max_age", "168h", "2160h"}},
		"no max_age":           {requests, func(s *stream) { s.MaxAge = 0 }, 1, []string{"max_age", "0s", "2160h"}},
		"discard":              {requests, func(s *stream) { s.Discard = jetstream.DiscardOld }, 1, []string{"discard", "DiscardOld", "DiscardNew"}},
		"subjects":             {outcomes, func(s *stream) { s.Subjects = []string{"tenant.provisioned"} }, 1, []string{"subjects", "tenant.provisioning_failed"}},
		"more subjects":        {requests, func(s *stream) { s.Subjects = append(s.Subjects, "tenant.other") }, 1, []string{"subjects", "tenant.other"}},
		"duplicate window":     {outcomes, func(s *stream) { s.Duplicates = 2 * time.Minute }, 1, []string{"duplicate_window", "2m0s", "1h0m0s"}},
		"requests per subject": {requests, func(s *stream) { s.MaxMsgsPerSubject = 5 }, 1, []string{"max_msgs_per_subject", "5", "-1"}},
		"per subject":          {letters, func(s *stream) { s.MaxMsgsPerSubject = 5 }, 1, []string{"max_msgs_per_subject", "5", "1"}},
		"small outcomes":       {outcomes, func(s *stream) { s.MaxMsgSize = 1000 }, 1, []string{"max_msg_size", "1000"}},
		"no ack":               {outcomes, func(s *stream) { s.NoAck = true }, 1, []string{"no_ack"}},
		"fewer replicas":       {letters, func(*stream) {}, 3, []string{"num_replicas", "1", "3"}},
		"roll-ups":             {requests, func(s *stream) { s.AllowRollup = true }, 1, []string{"allow_rollup_hdrs is true, must be false"}},
		"not written":          {outcomes, func(s *stream) { s.PersistMode = jetstream.AsyncPersistMode }, 1, []string{"persist_mode is Async, must be default"}},
		"not removed":          {letters, func(s *stream) { s.DenyDelete = true }, 1, []string{"deny_delete is true, must be false"}},
		"times to live":        {requests, func(s *stream) { s.AllowMsgTTL = true }, 1, []string{"allow_msg_ttl is true, must be false"}},
		"foreign outcomes":     {outcomes, func(s *stream) { s.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} }, 1, []string{`sources is [{"name":"OTHER"`, "must be unset"}},
		"other subjects": {requests, func(s *stream) {
			s.SubjectTransform = &jetstream.SubjectTransformConfig{Source: "tenant.requested", Destination: "tenants.requested"}
		}, 1, []string{`subject_transform is {"src":"tenant.requested","dest":"tenants.requested"}, must be unset`, "nats stream edit"}},
		"copies": {outcomes, func(s *stream) {
			s.RePublish = &jetstream.RePublish{Source: "tenant.provisioned", Destination: "tenant.requested"}
		}, 1, []string{"republish is", "must be unset"}},
		"idle consumers": {requests, func(s *stream) { s.ConsumerLimits.InactiveThreshold = time.Hour }, 1, []string{"consumer_limits is", "must be unset"}},
		"two at once":    {requests, func(s *stream) { s.MaxAge, s.Discard = 0, jetstream.DiscardOld }, 1, []string{"max_age", "discard"}},
	} {
		t.Run(name, func(t *testing.T) {
			js := bare(t)
			for i, s := range managed.streams() {
				if i == c.stream {
					c.change(&s)
				}
				_, err := js.CreateStream(t.Context(), s)
				testkit.Must(t, err)
			}
			for _, manage := range []bool{true, false} {
				topology := Topology{Replicas: c.replicas, Manage: manage, AckWait: time.Minute}
				err := topology.Ensure(t.Context(), js)
				Contains(t, name, err, append(c.want, managed.streams()[c.stream].Name)...)
			}
			if _, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer); err == nil {
				t.Error("the consumer was created on rejected streams")
			}
		})
	}
}

func TestEnsureNamesEveryContradictingStream(t *testing.T) {
	js := bare(t)
	for _, s := range managed.streams() {
		s.Storage = jetstream.MemoryStorage
		_, err := js.CreateStream(t.Context(), s)
		testkit.Must(t, err)
	}
	err := managed.Ensure(t.Context(), js)
	Contains(t, "Ensure", err, events.StreamRequests, events.StreamEvents, events.StreamDeadLetters)
}

func TestEnsureRefusesAContradictingConsumer(t *testing.T) {
	t.Parallel()
	type consumer = jetstream.ConsumerConfig
	for name, c := range map[string]struct {
		change func(*consumer)
		want   []string
	}{
		"ack_policy":      {func(c *consumer) { c.AckPolicy = jetstream.AckAllPolicy }, []string{"ack_policy", "AckAll", "AckExplicit"}},
		"max_deliver":     {func(c *consumer) { c.MaxDeliver = 8 }, []string{"max_deliver", "8", "-1"}},
		"backoff":         {func(c *consumer) { c.BackOff = []time.Duration{time.Second}; c.MaxDeliver = 2 }, []string{"backoff"}},
		"filter_subject":  {func(c *consumer) { c.FilterSubject = "tenant.other" }, []string{"filter_subject", "tenant.requested"}},
		"filter_subjects": {func(c *consumer) { c.FilterSubjects = []string{"tenant.a", "tenant.b"} }, []string{"filter_subjects"}},
		"deliver_policy":  {func(c *consumer) { c.DeliverPolicy = jetstream.DeliverNewPolicy }, []string{"deliver_policy"}},
		"headers_only":    {func(c *consumer) { c.HeadersOnly = true }, []string{"headers_only", "nats consumer edit"}},
		"replay_policy":   {func(c *consumer) { c.ReplayPolicy = jetstream.ReplayOriginalPolicy }, []string{"replay_policy"}},
		"mem_storage":     {func(c *consumer) { c.MemoryStorage = true }, []string{"mem_storage"}},
		"max_waiting":     {func(c *consumer) { c.MaxWaiting = 1 }, []string{"max_waiting", "at least 16"}},
		"durable_name":    {func(c *consumer) { c.Name, c.Durable, c.InactiveThreshold = c.Durable, "", time.Hour }, []string{"durable_name is unset"}},
		"priority_policy": {func(c *consumer) {
			c.PriorityPolicy, c.PriorityGroups = jetstream.PriorityPolicyOverflow, []string{"g"}
		}, []string{"priority_policy", "priority_groups is [g]"}},
		"opt_start_seq": {func(c *consumer) {
			c.DeliverPolicy, c.OptStartSeq = jetstream.DeliverByStartSequencePolicy, 5
		}, []string{"deliver_policy", "opt_start_seq is 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			js := bare(t)
			for _, s := range managed.streams() {
				_, err := js.CreateStream(t.Context(), s)
				testkit.Must(t, err)
			}
			config := managed.consumer()
			c.change(&config)
			_, err := js.CreateConsumer(t.Context(), events.StreamRequests, config)
			testkit.Must(t, err)
			for _, manage := range []bool{true, false} {
				topology := managed
				topology.Manage = manage
				err = topology.Ensure(t.Context(), js)
				Contains(t, name, err, append(c.want, events.DurableConsumer)...)
			}
		})
	}
}

func TestUnmanagedEnsureNamesTheFix(t *testing.T) {
	js := bare(t)
	checking := Topology{Replicas: 1, AckWait: time.Minute}
	err := checking.Ensure(t.Context(), js)
	Contains(t, "no streams", err, events.StreamRequests, events.StreamEvents, events.StreamDeadLetters,
		"NATS_MANAGE_STREAMS=true")
	for _, s := range managed.streams() {
		_, err := js.CreateStream(t.Context(), s)
		testkit.Must(t, err)
	}
	err = checking.Ensure(t.Context(), js)
	Contains(t, "no consumer", err, events.DurableConsumer, "NATS_MANAGE_STREAMS=true")
}

func TestManagedEnsureSetsAckWait(t *testing.T) {
	js := bare(t)
	ackWait := func() time.Duration {
		c, err := js.Consumer(t.Context(), events.StreamRequests, events.DurableConsumer)
		testkit.Must(t, err)
		return c.CachedInfo().Config.AckWait
	}
	err := managed.Ensure(t.Context(), js)
	testkit.Must(t, err)
	err = Topology{Replicas: 1, AckWait: time.Minute}.Ensure(t.Context(), js)
	testkit.Must(t, err)
	testkit.Equal(t, "unmanaged", ackWait(), managed.AckWait)
	err = Topology{Replicas: 1, Manage: true, AckWait: time.Minute}.Ensure(t.Context(), js)
	testkit.Must(t, err)
	testkit.Equal(t, "managed", ackWait(), time.Minute)
}

// Numbers that would stop the service are corrected, or named.
func TestEnsureCorrectsTheConsumersNumbers(t *testing.T) {
	js := bare(t)
	err := managed.Ensure(t.Context(), js)
	testkit.Must(t, err)
	want := managed.consumer()
	got := want
	got.MaxRequestExpires, got.InactiveThreshold, got.MaxAckPending = time.Second, time.Hour, 1
	_, err = js.UpdateConsumer(t.Context(), events.StreamRequests, got)
	testkit.Must(t, err)
	unmanaged := managed
	unmanaged.Manage = false
	err = unmanaged.Ensure(t.Context(), js)
	Contains(t, "unmanaged", err, "max_expires is 1s, must be unset", "inactive_threshold is 1h0m0s, must be 0s", "nats consumer edit")
	found, err := managed.ensure(t.Context(), js, nil)
	testkit.Must(t, err)
	c := found.Consumer.Info.Config
	testkit.Equal(t, "max_expires", c.MaxRequestExpires, 0)
	testkit.Equal(t, "inactive_threshold", c.InactiveThreshold, 0)
	testkit.Equal(t, "max_ack_pending", c.MaxAckPending, -1)
	err = unmanaged.Ensure(t.Context(), js)
	testkit.Must(t, err)
}

func containsText(err error, part string) bool { return strings.Contains(err.Error(), part) }
