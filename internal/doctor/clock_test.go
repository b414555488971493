package doctor

import (
	"fmt"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// A slow network is not taken for a skewed clock.
func TestClockAcrossASlowNetwork(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		skew, clockError time.Duration
		want             string
	}{
		{0, 0, OK},
		{1100 * time.Millisecond, 0, Warning},
		{-1100 * time.Millisecond, 0, Warning},
		{1100 * time.Millisecond, 200 * time.Millisecond, OK},
		{31 * time.Second, 0, Fault},
		{31 * time.Second, 2 * time.Second, Warning},
	} {
		testkit.Equal(t, fmt.Sprint(c.skew, " ± ", c.clockError), checkClock("clock", "its", c.skew, c.clockError).Status, c.want)
	}
}
