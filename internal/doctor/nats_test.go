package doctor

import (
	"testing"

	"example.com/tenant-provisioner/internal/testkit"
)

func TestDoctorOfNATSVersions(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"2.10.3": Fault, "2.9.25": Fault, "1.4.1": Fault, "2.10.4": OK, "2.10.4-RC.1": OK, "2.15.2": OK,
		"3.0.0-dev": OK, "v2.9.0": Fault, "ours": OK,
	} {
		testkit.Equal(t, version, checkNATSVersion("nats", version).Status, want)
	}
}
