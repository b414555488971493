package page

import (
	"context"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/testkit"
)

// No counter is read while another is written. The race detector finds that here, where nothing orders the goroutines;
// the locks of a real connection mostly do.
func TestWindowsAreCountedWithoutRace(t *testing.T) {
	t.Parallel()
	now := time.Now()
	windows := []window{{Minutes: 1}, {Minutes: 60}}
	testkit.Must(t, countWindows(t.Context(), windows, now, func(_ context.Context, subject string, since time.Time) (uint64, error) {
		n := uint64(now.Sub(since) / time.Minute)
		if subject == events.TypeProvisioningFailed {
			n *= 1000
		}
		return n, nil
	}))
	for _, w := range windows {
		if n := uint64(w.Minutes); w.Provisioned != n || w.Failed != 1000*n {
			t.Errorf("counted: %+v", w)
		}
	}
}
