package events_test

import (
	"testing"

	"github.com/google/uuid"

	"example.com/tenant-provisioner/events"
)

// Invariant 8: requests of earlier versions got these values. Changing one publishes a second outcome for a request
// that has one.
func TestOutcomeIDIsStable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		source, id string
		replay     int
		eventType  string
		want       string
	}{
		{"/billing", "1", 0, events.TypeProvisioned, "bdc08e51-948e-5bbd-ab15-a71f67d5efee"},
		{"/billing", "1", 1, events.TypeProvisioned, "18783958-efec-5ab9-9c4f-fe1a6e620b5f"},
		{"/billing", "1", 0, events.TypeProvisioningFailed, "80078b80-20da-5f90-8cc1-538f05aa602d"},
		{"/billing", "11", 0, events.TypeProvisioned, "48b0488a-1d25-5986-8095-8167802c5f37"},
		{"/billing1", "1", 0, events.TypeProvisioned, "69ce7f91-3e64-54b2-bd4f-e484579c12a2"},
		// A source like any other. Earlier versions gave this id to the undecodable message 1009 too.
		{events.StreamRequests, "1009", 0, events.TypeProvisioningFailed, "87dfc45a-c23e-5368-a9ce-75fd47d4cfbf"},
	} {
		got := events.OutcomeID(c.source, c.id, c.replay, c.eventType)
		if got != c.want {
			t.Errorf("%v: %s", c, got)
		}
		if id, err := uuid.Parse(got); err != nil || id.Version() != 5 || id.Variant() != uuid.RFC4122 {
			t.Errorf("%s is not a UUIDv5: %v", got, err)
		}
	}
}

// Invariant 8. The value is that of: printf '/billing\n1' | sha256sum
func TestRequestKeyIsStable(t *testing.T) {
	t.Parallel()
	const want = "7ac8354985356bc008fb9b6d15fa35289103fa6b0932ea2e337210e7be31b5f0"
	if got := events.RequestKey("/billing", "1"); got != want {
		t.Errorf("%s", got)
	}
	if got := events.DeadLetterSubject(want); got != "tenant.dead_letter."+want {
		t.Errorf("%s", got)
	}
}
