package handler

import (
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// Every setting that the client library or the server knows has a rule, so that a new one must be judged.
func TestEverySettingHasARule(t *testing.T) {
	t.Parallel()
	checkRules(t, streamRules, reflect.TypeFor[jetstream.StreamConfig](), reflect.TypeFor[server.StreamConfig]())
	checkRules(t, consumerRules, reflect.TypeFor[jetstream.ConsumerConfig](), reflect.TypeFor[server.ConsumerConfig]())
}

func checkRules[C any](t *testing.T, all rules[C], known ...reflect.Type) {
	t.Helper()
	names := map[string]bool{}
	for _, of := range known {
		for field := range of.Fields() {
			name := settingName(field)
			names[name] = true
			this, found := all[name]
			switch compared := this.equal != (this.must != nil); {
			case !found, compared == (this.harmless != ""), this.equal && this.must != nil:
				t.Errorf("%s %s: compare it, or say why any value is harmless", of, name)
			case compared && this.because == "":
				t.Errorf("%s %s: the rule does not say what a contradiction leads to", of, name)
			}
		}
	}
	for name := range all {
		if !names[name] {
			t.Errorf("there is a rule of %s, which is not a setting", name)
		}
	}
}

// Every compared setting that has another value is named, with the required value, in each stream for which that value
// contradicts the contract. All others are accepted.
func TestEveryContradictionOfAStreamIsNamed(t *testing.T) {
	t.Parallel()
	const requests, outcomes, letters = events.StreamRequests, events.StreamEvents, events.StreamDeadLetters
	wrong := map[string]struct {
		change func(*streamConfig)
		of     []string
	}{
		"subjects": {
			func(c *streamConfig) { c.Subjects = append(c.Subjects, "tenant.requestedx") }, []string{requests, outcomes, letters},
		},
		"num_replicas":     {func(c *streamConfig) { c.Replicas = 0 }, []string{requests, outcomes, letters}},
		"max_age":          {func(c *streamConfig) { c.MaxAge = time.Hour }, []string{requests}},
		"max_msg_size":     {func(c *streamConfig) { c.MaxMsgSize = 1000 }, []string{outcomes, letters}},
		"max_bytes":        {func(c *streamConfig) { c.MaxBytes = 1000 }, []string{outcomes, letters}},
		"duplicate_window": {func(c *streamConfig) { c.Duplicates = time.Minute }, []string{outcomes}},
		"deny_delete":      {func(c *streamConfig) { c.DenyDelete = true }, []string{letters}},
		"allow_msg_ttl":    {func(c *streamConfig) { c.AllowMsgTTL = true }, []string{requests}},
		"persist_mode":     {func(c *streamConfig) { c.PersistMode = jetstream.AsyncPersistMode }, []string{requests, outcomes, letters}},
		"sources":          {func(c *streamConfig) { c.Sources = []*jetstream.StreamSource{{Name: "OTHER"}} }, []string{outcomes, letters}},
		"republish": {func(c *streamConfig) {
			c.RePublish = &jetstream.RePublish{Source: ">", Destination: "tenant.requested"}
		}, []string{requests, outcomes, letters}},
		"consumer_limits": {func(c *streamConfig) { c.ConsumerLimits.InactiveThreshold = time.Hour }, []string{requests}},
	}
	every := []string{requests, outcomes, letters}
	for i, want := range managed.streams() {
		testkit.Must(t, streamRules.check(want, want))
		for field := range reflect.TypeFor[streamConfig]().Fields() {
			name, got := settingName(field), managed.streams()[i]
			this, contradicts := streamRules[name], every
			switch {
			case this.must != nil:
				c, found := wrong[name]
				if !found {
					t.Fatalf("add a wrong value of %s to this test", name)
				}
				c.change(&got)
				contradicts = c.of
			case this.harmless != "":
				contradicts = nil
				fallthrough
			default:
				alter(reflect.ValueOf(&got).Elem().FieldByIndex(field.Index))
			}
			checkNamed(t, want.Name+" "+name, streamRules.check(got, want), name, slices.Contains(contradicts, want.Name))
		}
	}
	for destination, harmful := range map[string]bool{
		"audit.>": false, "tenant_copy": false, "tenant.>": true, "tenant.provisioned": true, ">": true, "*.x": true,
		"$JS.API.x": true, "{{wildcard(1)}}.x": true, "$1.x": true,
	} {
		testkit.Equal(t, "republish to "+destination+" contradicts", reachesTopology(destination), harmful)
	}
}

func TestEveryContradictionOfTheConsumerIsNamed(t *testing.T) {
	t.Parallel()
	wrong := map[string]func(*consumerConfig){
		"deliver_policy":     func(c *consumerConfig) { c.DeliverPolicy = jetstream.DeliverNewPolicy },
		"opt_start_seq":      func(c *consumerConfig) { c.OptStartSeq = 5 },
		"filter_subject":     func(c *consumerConfig) { c.FilterSubject = "tenant.other" },
		"max_expires":        func(c *consumerConfig) { c.MaxRequestExpires = pullExpiry - 1 },
		"inactive_threshold": func(c *consumerConfig) { c.InactiveThreshold = time.Hour },
		"num_replicas":       func(c *consumerConfig) { c.Replicas = 1 },
		"max_waiting":        func(c *consumerConfig) { c.MaxWaiting = minWaiting - 1 },
	}
	topology := Topology{Replicas: 3, AckWait: time.Minute}
	changing := topology
	changing.Manage = true
	for field := range reflect.TypeFor[consumerConfig]().Fields() {
		name, got := settingName(field), topology.consumer()
		this := consumerRules[name]
		change, found := wrong[name]
		switch {
		case found:
			change(&got)
		case this.must != nil:
			t.Fatalf("add a wrong value of %s to this test", name)
		default:
			alter(reflect.ValueOf(&got).Elem().FieldByIndex(field.Index))
		}
		checkNamed(t, name, topology.checkConsumer(got), name, this.harmless == "")
		checkNamed(t, name+", corrected", changing.checkConsumer(got), name, this.harmless == "" && this.correct == nil)
		changes := strings.Join(changing.Corrections(got), "; ")
		testkit.Equal(t, name+" is corrected", strings.HasPrefix(changes, name+" from "), this.correct != nil)
		testkit.Equal(t, name+" is corrected if unmanaged", len(topology.Corrections(got)), 0)
	}
}

// checkNamed asserts that the error names this setting and no other or, if it does not contradict, is nil.
func checkNamed(t *testing.T, what string, err error, setting string, contradicts bool) {
	t.Helper()
	if !contradicts {
		testkit.Equal(t, what, err, nil)
		return
	}
	Contains(t, what, err, setting+" is ", ", must be ")
	if found, _ := errors.AsType[contradictions](err); len(found) > 1 {
		t.Errorf("%s: it also names other settings: %v", what, err)
	}
}

// alter gives a setting another value.
func alter(v reflect.Value) {
	switch v.Kind() {
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(v.Int() + 1)
	case reflect.Uint8, reflect.Uint64:
		v.SetUint(v.Uint() + 1)
	case reflect.String:
		v.SetString(v.String() + "x")
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
	case reflect.Slice:
		v.Set(reflect.Append(v, reflect.Zero(v.Type().Elem())))
	case reflect.Struct:
		alter(v.Field(0))
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
	default:
		panic("a setting of kind " + v.Kind().String())
	}
}

// What the service has recreated itself is not a contradiction, unlike any other start.
func TestOnlyTheServicesOwnStartSequenceIsAccepted(t *testing.T) {
	t.Parallel()
	own := fromFloor(&jetstream.ConsumerInfo{
		Config: managed.consumer(), AckFloor: jetstream.SequenceInfo{Stream: 7},
	}, 9, time.Time{})
	testkit.Equal(t, "start", own.OptStartSeq, 8)
	testkit.Must(t, managed.checkConsumer(own))
	moved := own
	moved.OptStartSeq = 9
	Contains(t, "moved", managed.checkConsumer(moved), "deliver_policy", "opt_start_seq is 9")
	foreign := own
	foreign.Metadata = nil
	Contains(t, "of another program", managed.checkConsumer(foreign), "deliver_policy", "opt_start_seq is 8")
	for name, c := range map[string]struct{ floor, last uint64 }{"nothing is settled": {0, 9}, "a restored stream": {7, 6}} {
		config := fromFloor(&jetstream.ConsumerInfo{
			Config: own, AckFloor: jetstream.SequenceInfo{Stream: c.floor},
		}, c.last, time.Time{})
		testkit.Equal(t, name, config.DeliverPolicy, jetstream.DeliverAllPolicy)
		testkit.Must(t, managed.checkConsumer(config))
	}
}
