package doctor

import (
	"fmt"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// A long way to the server says nothing about its clock.
func TestClocksFarAway(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		skew, unsure time.Duration
		want         string
	}{
		{0, 0, OK},
		{1100 * time.Millisecond, 0, Warning},
		{-1100 * time.Millisecond, 0, Warning},
		{1100 * time.Millisecond, 200 * time.Millisecond, OK},
		{31 * time.Second, 0, Fault},
		{31 * time.Second, 2 * time.Second, Warning},
	} {
		testkit.Equal(t, fmt.Sprint(c.skew, " ± ", c.unsure), checkClock("clock", "its", c.skew, c.unsure).Status, c.want)
	}
}
