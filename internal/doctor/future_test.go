package doctor

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/testkit"
)

// Times of the future are a fault if they may have the server withhold requests.
func TestDoctorOfFutureTimes(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, c := range map[string]struct {
		last     time.Time
		inFlight int
		manage   bool
		want     string
		hint     string
	}{
		"as it should be":      {now, 1, true, OK, ""},
		"nothing is in flight": {now.Add(time.Hour), 0, true, Warning, "NTP"},
		"in flight":            {now.Add(time.Hour), 1, true, Fault, "start the service"},
		"unmanaged":            {now.Add(time.Hour), 1, false, Fault, "nats consumer rm"},
	} {
		found := checkFuture(config.Config{Manage: c.manage}, handler.TopologyStatus{
			Streams: []handler.StreamStatus{{Name: events.StreamRequests, Info: &jetstream.StreamInfo{
				TimeStamp: now, State: jetstream.StreamState{LastTime: c.last},
			}}},
			Consumer: handler.ConsumerStatus{Info: &jetstream.ConsumerInfo{TimeStamp: now, NumAckPending: c.inFlight}},
		})
		testkit.Equal(t, name, found.Status, c.want)
		testkit.Contains(t, name, found.Hint, c.hint)
		if c.want != OK {
			testkit.Contains(t, name, found.Message, "the last message of TENANT_REQUESTS is of 2026-01-02T04:04:05Z")
		}
	}
}
