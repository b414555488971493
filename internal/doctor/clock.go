package doctor

import "time"

const (
	// skewWarned is what clocks that are kept by NTP never reach: above it, times of the ledger, of events and of logs
	// do not agree on what came first.
	skewWarned = time.Second
	// skewFatal is the default of ACK_WAIT, the longest time that anything here waits before it acts: what is fresh by
	// one clock is expired by the other, credentials and certificates of a short life included.
	skewFatal = 30 * time.Second
)

// checkClock judges by how much a clock is ahead of this machine's, unsure by so much either way.
func checkClock(name, whose string, skew, unsure time.Duration) Finding {
	const hint = "timedatectl status # on both machines; have both follow NTP (systemd-timesyncd, chrony)"
	least := skew.Abs() - unsure
	direction := "ahead of"
	if skew < 0 {
		direction = "behind"
	}
	skew = skew.Abs().Round(time.Millisecond)
	switch {
	case least > skewFatal:
		return fault(name, hint, "%s clock is %s %s this machine's: what is fresh by one is expired by the other", whose,
			skew, direction)
	case least > skewWarned:
		return warning(name, hint, "%s clock is %s %s this machine's: times in ledger, events and logs contradict each other",
			whose, skew, direction)
	}
	within := max(skew, unsure.Round(time.Millisecond), time.Millisecond)
	return ok(name, "%s clock is within %s of this machine's", whose, within)
}
