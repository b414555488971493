package doctor

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/internal/testkit"
)

// An account may have limits by the number of replicas.
func TestDoctorOfTiers(t *testing.T) {
	t.Parallel()
	tier := func(streams, most int, store int64) jetstream.Tier {
		return jetstream.Tier{Streams: streams, Limits: jetstream.AccountLimits{MaxStreams: most, MaxStore: store}}
	}
	info := &jetstream.AccountInfo{Tiers: map[string]jetstream.Tier{"R1": tier(3, 5, -1), "R2": tier(0, 0, 0), "R3": tier(2, 5, 1)}}
	for name, c := range map[string]struct {
		replicas, toCreate int
		want, message      string
	}{
		"too few streams":  {1, 3, Fault, "3 of at most 5 streams"},
		"enough":           {1, 2, OK, ""},
		"another tier":     {3, 3, OK, ""},
		"no storage":       {2, 1, Fault, "max_file"},
		"no tier":          {5, 1, Fault, "limits for R1, R2, R3, and none for NATS_REPLICAS=5"},
		"nothing to do":    {5, 0, OK, ""},
		"nothing to store": {2, 0, OK, ""},
	} {
		found := checkAccount(info, c.replicas, c.toCreate)
		testkit.Equal(t, name, found.Status, c.want)
		testkit.Contains(t, name, found.Message, c.message)
	}
}
