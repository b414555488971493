package doctor

import (
	"testing"

	"github.com/nats-io/nats.go/jetstream"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/testkit"
)

func TestDoctorOfReplicas(t *testing.T) {
	t.Parallel()
	type info = jetstream.ClusterInfo
	peer := func(current, offline bool) *info {
		return &info{Name: "c", Leader: "n0", Replicas: []*jetstream.PeerInfo{{Name: "n1", Current: current, Offline: offline}}}
	}
	for name, c := range map[string]struct {
		cluster *info
		want    string
		message string
	}{
		"a single server": {nil, OK, ""},
		"all current":     {peer(true, false), OK, ""},
		"one offline":     {peer(true, true), Warning, "TENANT_EVENTS on n1"},
		"one behind":      {peer(false, false), Warning, "TENANT_EVENTS on n1"},
		"no leader":       {&info{Name: "c"}, Fault, "without a leader: TENANT_EVENTS"},
	} {
		status := handler.TopologyStatus{Streams: []handler.StreamStatus{{Name: events.StreamEvents, Info: &jetstream.StreamInfo{
			Config: jetstream.StreamConfig{Replicas: 3}, Cluster: c.cluster,
		}}}}
		got := checkReplicas(status, c.cluster != nil)
		testkit.Equal(t, name, got.Status, c.want)
		testkit.Contains(t, name, got.Message, c.message)
	}
}
