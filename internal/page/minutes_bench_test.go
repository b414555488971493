package page

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// BenchmarkMinutes counts an hour with so many outcomes, of which every tenth is a failure: the first time, and again,
// as a page that is open does. It reports the requests to the server beside the time. The outcomes are published as fast
// as the server stores them, and the hour is that time, stretched.
func BenchmarkMinutes(b *testing.B) {
	for _, outcomes := range []int{100_000, 1_000_000} {
		b.Run(fmt.Sprint("outcomes=", outcomes), func(b *testing.B) {
			js := benchJetStream(b)
			begin := time.Now()
			publishOutcomes(b, js, outcomes)
			end := time.Now()
			stream, err := js.Stream(b.Context(), events.StreamEvents)
			testkit.Must(b, err)
			hourEnd := begin.Truncate(time.Minute).Add(2 * chartMinutes * time.Minute)
			hourBegin := hourEnd.Add(-chartMinutes * time.Minute)
			read := func(b *testing.B, before minutes) minutes {
				b.Helper()
				m, err := countMinutes(b.Context(), stream.CachedInfo(), hourEnd.Add(-time.Millisecond), before,
					func(ctx context.Context, subject string, since time.Time) (uint64, error) {
						part := float64(since.Sub(hourBegin)) / float64(hourEnd.Sub(hourBegin))
						return count(ctx, js, subject, begin.Add(time.Duration(part*float64(end.Sub(begin)))))
					})
				testkit.Must(b, err)
				testkit.Must(b, m.Incomplete)
				return m
			}
			run := func(name string, before minutes) (last minutes) {
				b.Run(name, func(b *testing.B) {
					requests := js.Conn().Stats().OutMsgs
					for b.Loop() {
						last = read(b, before)
					}
					b.ReportMetric(float64(js.Conn().Stats().OutMsgs-requests)/float64(b.N), "requests/op")
				})
				return last
			}
			first := run("first", minutes{})
			run("again", first)
			var sum uint64
			for _, one := range first.List {
				sum += one.Provisioned + one.Failed
			}
			if sum != uint64(outcomes) {
				b.Errorf("the chart has %d of %d outcomes", sum, outcomes)
			}
		})
	}
}

func benchJetStream(b *testing.B) jetstream.JetStream {
	b.Helper()
	s := startServer(b)
	nc, err := nats.Connect("", nats.InProcessServer(s))
	testkit.Must(b, err)
	b.Cleanup(nc.Close)
	js, err := jetstream.New(nc, jetstream.WithPublishAsyncMaxPending(4000))
	testkit.Must(b, err)
	ensureStreams(b, js)
	return js
}

// publishOutcomes publishes messages as large as outcomes.
func publishOutcomes(b *testing.B, js jetstream.JetStream, n int) {
	b.Helper()
	body := bytes.Repeat([]byte("x"), 1400)
	for i := range n {
		subject := events.TypeProvisioned
		if i%10 == 0 {
			subject = events.TypeProvisioningFailed
		}
		_, err := js.PublishAsync(subject, body)
		testkit.Must(b, err)
	}
	<-js.PublishAsyncComplete()
}
