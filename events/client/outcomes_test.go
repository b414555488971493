package client_test

import (
	"fmt"
	"testing"

	"github.com/nats-io/nats.go"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/events/client"
	"example.com/tenant-provisioner/events/eventstest"
	"example.com/tenant-provisioner/internal/testkit"
)

// Guarantee 5: what is not acknowledged comes again, for the next process too; what is acknowledged does not.
func TestOutcomesAreAcknowledged(t *testing.T) {
	t.Parallel()
	js, ctx := streams(t), patient(t)
	for i := range 3 {
		eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, fmt.Sprint(i), fmt.Sprint("t", i)), nil))
	}
	first, err := client.Outcomes(ctx, js, client.Options{Durable: "crm", All: true})
	testkit.Must(t, err)
	d, err := first.Next(ctx)
	testkit.Must(t, err)
	testkit.Must(t, d.InProgress(ctx))
	testkit.Must(t, d.Ack(ctx))
	testkit.Equal(t, "the first", d.TenantID(), "t0")
	d, err = first.Next(ctx)
	testkit.Must(t, err)
	testkit.Must(t, d.Retry(ctx, 0))
	first.Close()

	second, err := client.Outcomes(ctx, js, client.Options{Durable: "crm"})
	testkit.Must(t, err)
	defer second.Close()
	seen := map[string]int{}
	for range 2 {
		d, err := second.Next(ctx)
		testkit.Must(t, err)
		testkit.Must(t, d.Ack(ctx))
		seen[d.TenantID()]++
	}
	testkit.Equal(t, "the others", fmt.Sprint(seen), "map[t1:1 t2:1]")
	info, err := js.Consumer(ctx, events.StreamEvents, "crm")
	testkit.Must(t, err)
	testkit.Equal(t, "left", info.CachedInfo().NumPending+uint64(info.CachedInfo().NumAckPending), 0)
}

// Guarantee 6: whatever lies in the stream, the outcome after it is read. Headers that look like the server's own
// statuses are in no message of the service.
func TestWhatIsNotAnOutcomeIsSkipped(t *testing.T) {
	t.Parallel()
	js, ctx := streams(t), patient(t)
	for _, header := range []nats.Header{
		nil,
		{"Status": {"404"}},
		{"Status": {"409"}, "Description": {"Consumer Deleted"}},
		{"Status": {"503"}},
		{"Status": {"100"}},
		{"Status": {"400"}, "Description": {"Bad Request"}},
		{"Nats-Msg-Size": {"7"}},
	} {
		for _, subject := range []string{events.TypeProvisioned, events.TypeProvisioningFailed} {
			_, err := js.PublishMsg(ctx, &nats.Msg{Subject: subject, Header: header})
			testkit.Must(t, err)
		}
	}
	for _, body := range []string{
		"garbage", `{"specversion":"1.0","id":"1","source":"/x","type":"tenant.provisioned","data":{}}`,
		`{"specversion":"1.0","id":"1","source":"/x","type":"tenant.requested","data":{}}`,
	} {
		_, err := js.Publish(ctx, events.TypeProvisioned, []byte(body))
		testkit.Must(t, err)
	}
	const garbage = 17
	c := open(t, js)
	receipt, err := client.Request(ctx, js, billing, "1", requested("acme"))
	testkit.Must(t, err)
	eventstest.Publish(t, js, eventstest.Failed(t, request(t, "1", "acme"), events.CauseTenantExists, nil))
	for name, o := range map[string]client.Options{
		"without a durable consumer": {All: true}, "with a durable consumer": {All: true, Durable: "crm"},
	} {
		var skipped []client.Skipped
		o.Skip = func(s client.Skipped) { skipped = append(skipped, s) }
		s, err := client.Outcomes(ctx, js, o)
		testkit.Must(t, err)
		d, err := s.Next(ctx)
		testkit.Must(t, err)
		testkit.Equal(t, name, d.Failed.Cause.Code, events.CauseTenantExists)
		testkit.Must(t, d.Ack(ctx))
		testkit.Equal(t, name+": skipped", len(skipped), garbage)
		for i, one := range skipped {
			if one.Sequence != uint64(i)+1 || one.Err == nil || (one.Event != nil) != (i >= garbage-2) {
				t.Errorf("%s: %+v", name, one)
			}
		}
		s.Close()
	}
	_, err = c.Await(ctx, client.Receipt{Source: receipt.Source, ID: receipt.ID})
	testkit.Must(t, err)
	info, err := js.Consumer(ctx, events.StreamEvents, "crm")
	testkit.Must(t, err)
	testkit.Equal(t, "not acknowledged", info.CachedInfo().NumAckPending, 0)
}

// Without All, only what is published from then on is read.
func TestOutcomesFromNowOn(t *testing.T) {
	t.Parallel()
	js, ctx := streams(t), patient(t)
	eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, "1", "old"), nil))
	for _, durable := range []string{"", "crm"} {
		s, err := client.Outcomes(ctx, js, client.Options{Durable: durable})
		testkit.Must(t, err)
		t.Cleanup(s.Close)
		tenant := "new_" + durable
		eventstest.Publish(t, js, eventstest.Provisioned(t, request(t, tenant, tenant), nil))
		d, err := s.Next(ctx)
		testkit.Must(t, err)
		testkit.Equal(t, "tenant", d.TenantID(), tenant)
	}
}
