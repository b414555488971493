package doctor

import "time"

const (
	// skewWarned is above any skew of clocks that follow NTP. Beyond it the times in ledger, events and logs disagree on
	// the order of events.
	skewWarned = time.Second
	// skewFatal is the default of ACK_WAIT, the longest wait in this program. Beyond it what is fresh by one clock is
	// expired by the other, including short-lived credentials and certificates.
	skewFatal = 30 * time.Second
)

// checkClock judges skew, by which a clock is ahead of this machine's. unsure is the measurement error in either
// direction.
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
