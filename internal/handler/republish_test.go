package handler

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// republishRequest republishes the stored request and returns what the stream then has.
func (b *bundle) republishRequest(sequence uint64) []*jetstream.RawStreamMsg {
	b.t.Helper()
	testkit.Must(b.t, RepublishRequest(b.t.Context(), b.js, b.requested(sequence)))
	return b.stored(events.StreamRequests)
}

func without(header nats.Header, names ...string) nats.Header {
	header = maps.Clone(header)
	for _, name := range names {
		delete(header, name)
	}
	return header
}

func sameHeader(a, b nats.Header) bool { return maps.EqualFunc(a, b, slices.Equal) }

// A request is published again as it was: with its replay number, and with another Nats-Msg-Id where the server still
// knows its own.
func TestRepublishRequest(t *testing.T) {
	b := newBundle(t)
	testkit.Must(t, b.config.Topology.Ensure(t.Context(), b.js))
	request := b.request("1", "acme")
	request.Header.Set(jetstream.MsgIDHeader, "own")
	request.Header.Set(ReplayHeader, "3")
	request.Header.Set(keptPrefix+"Status", "1")
	first := b.publish(request)
	all := b.republishRequest(first)
	testkit.Equal(t, "requests", len(all), 2)
	testkit.Equal(t, "body", string(all[1].Data), string(all[0].Data))
	testkit.Equal(t, "other headers are the same",
		sameHeader(without(all[0].Header, jetstream.MsgIDHeader), without(all[1].Header, jetstream.MsgIDHeader)), true)
	testkit.Equal(t, "it has another id", all[1].Header.Get(jetstream.MsgIDHeader) != "own", true)

	// The server has forgotten the id of a request that is published without one.
	second := b.publish(b.request("2", "beta"))
	all = b.republishRequest(second)
	testkit.Equal(t, "requests", len(all), 4)
	testkit.Equal(t, "all headers are the same", sameHeader(all[2].Header, all[3].Header), true)

	err := RepublishRequest(t.Context(), b.js, &jetstream.RawStreamMsg{
		Subject: events.TypeRequested, Header: nats.Header{"ce-\x01": {"x"}, "ce-id": {"\r"}}, Data: b.request("3", "c").Data,
	})
	if err != nil && !errors.Is(err, ErrUnreplayable) {
		t.Errorf("a request with headers that cannot be written: %v", err)
	}
}

// An outcome is published again with the same bytes, unless the stream has it, whatever has its id.
func TestRepublishOutcome(t *testing.T) {
	b := newBundle(t)
	testkit.Must(t, b.config.Topology.Ensure(t.Context(), b.js))
	o := pipeline.Outcome{ID: "id", Type: events.TypeProvisioned, Body: []byte("the outcome")}
	for range 2 {
		testkit.Must(t, RepublishOutcome(t.Context(), b.js, o))
		testkit.Equal(t, "outcomes", len(b.stored(events.StreamEvents)), 1)
	}
	testkit.Must(t, b.streamOf(events.StreamEvents).DeleteMsg(t.Context(), 1))
	testkit.Must(t, RepublishOutcome(t.Context(), b.js, o))
	all := b.stored(events.StreamEvents)
	testkit.Equal(t, "outcomes after one was lost", len(all), 1)
	testkit.Equal(t, "body", string(all[0].Data), "the outcome")

	taken := pipeline.Outcome{ID: "taken", Type: events.TypeProvisioned, Body: []byte("the outcome")}
	b.publish(&nats.Msg{Subject: events.TypeProvisioned, Header: nats.Header{jetstream.MsgIDHeader: {"taken"}}, Data: []byte("other")})
	testkit.Must(t, RepublishOutcome(t.Context(), b.js, taken))
	testkit.Equal(t, "outcomes beside another with their id", len(b.stored(events.StreamEvents)), 3)
}

// A dead letter that is made again is the one that was lost, in each of its forms.
func TestRepublishDeadLetter(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*nats.Msg)
		server func(*server.Options)
	}{
		"plain":       {change: func(*nats.Msg) {}},
		"with an id":  {change: func(m *nats.Msg) { m.Header.Set(jetstream.MsgIDHeader, "own") }},
		"instructing": {change: func(m *nats.Msg) { m.Header.Set("Status", "404"); m.Header.Set("Dead-Letter-X", "y") }},
		"a replay":    {change: func(m *nats.Msg) { m.Header.Set(ReplayHeader, "2"); m.Header.Set(keptPrefix+"Status", "1") }},
		"undecodable": {change: func(m *nats.Msg) { m.Data = []byte("no event") }},
		"too large": {
			change: func(m *nats.Msg) { m.Data = append(m.Data, strings.Repeat(" ", 1000)...) },
			server: func(o *server.Options) { o.MaxPayload = 1500 },
		},
	} {
		t.Run(name, func(t *testing.T) {
			if c.server == nil {
				c.server = func(*server.Options) {}
			}
			b := newBundle(t, c.server)
			h := b.start()
			request := b.request("1", "not valid")
			c.change(request)
			sequence := b.publish(request)
			b.awaitSettled()
			h.stop(t)
			lost := b.deadLetter()
			key := strings.TrimPrefix(lost.Subject, events.SubjectDeadLetterPrefix)
			o, err := b.db.Recorded(t.Context(), key)
			testkit.Must(t, err)
			testkit.Equal(t, "decided by the request", IsDecidedBy(o, sequence, b.requested(sequence).Time), true)
			republish := func() *jetstream.RawStreamMsg {
				t.Helper()
				delivery, stream, err := RepublishDeadLetter(t.Context(), b.js, b.requested(sequence), o)
				testkit.Must(t, err)
				testkit.Equal(t, "stream", stream, b.deadLetterStream())
				testkit.Equal(t, "names the message", IsDecidedBy(pipeline.Outcome{DeliveryID: delivery}, sequence, b.requested(sequence).Time), true)
				return b.deadLetter()
			}
			testkit.Equal(t, "sequence of one that is there", republish().Sequence, lost.Sequence)
			b.recreateDeadLetters()
			again := republish()
			testkit.Equal(t, "subject and body", again.Subject+string(again.Data), lost.Subject+string(lost.Data))
			testkit.Equal(t, "headers are the same", sameHeader(again.Header, lost.Header), true)

			// Where the window still knows it, it has an id of its own; restored from its event, a nonce of its own.
			o.DeliveryID = ""
			testkit.Must(t, b.streamOf(events.StreamDeadLetters).DeleteMsg(t.Context(), again.Sequence))
			again = republish()
			names := []string{jetstream.MsgIDHeader, nonceHeader, keptPrefix + jetstream.MsgIDHeader}
			testkit.Equal(t, "body", string(again.Data), string(lost.Data))
			testkit.Equal(t, "other headers are the same", sameHeader(without(again.Header, names...), without(lost.Header, names...)), true)
			testkit.Equal(t, "headers of the original",
				sameHeader(originalHeader(again.Header), originalHeader(lost.Header)), true)
		})
	}
}

// A consumer is made again at its floor, or at the first request if the stream no longer has that.
func TestRecreateConsumer(t *testing.T) {
	b := newBundle(t)
	h := b.start()
	b.publishTenants(3)
	b.awaitSettled()
	h.stop(t)
	before := b.consumer()
	testkit.Must(t, RecreateConsumer(t.Context(), b.js))
	after := b.consumer()
	testkit.Equal(t, "made again", after.Created.After(before.Created), true)
	testkit.Equal(t, "pending", after.NumPending, uint64(0))
	testkit.Equal(t, "its settings stay", after.Config.AckWait, before.Config.AckWait)
	testkit.Must(t, b.js.DeleteConsumer(t.Context(), events.StreamRequests, events.DurableConsumer))
	testkit.Must(t, RecreateConsumer(t.Context(), b.js)) // there is nothing to do

	stream := func(last uint64) *jetstream.StreamInfo {
		return &jetstream.StreamInfo{State: jetstream.StreamState{LastSeq: last}}
	}
	for name, c := range map[string]struct {
		delivered, floor, last uint64
		ahead                  bool
		start                  uint64
	}{
		"in step":             {3, 3, 3, false, 4},
		"behind":              {2, 1, 3, false, 2},
		"ahead, floor is too": {5, 5, 3, true, 0},
		"ahead, floor is not": {5, 2, 3, true, 3},
	} {
		info := &jetstream.ConsumerInfo{
			Delivered: jetstream.SequenceInfo{Stream: c.delivered}, AckFloor: jetstream.SequenceInfo{Stream: c.floor},
		}
		testkit.Equal(t, name+": ahead", IsAhead(info, stream(c.last)), c.ahead)
		testkit.Equal(t, name+": start", fromFloor(info, c.last, time.Time{}).OptStartSeq, c.start)
	}
}
