package doctor

import (
	"strings"
	"time"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/handler"
)

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

// checkFuture checks streams and consumer for times that their server's clock has not reached: a clock was ahead.
func checkFuture(c config.Config, s handler.TopologyStatus) Finding {
	const name = "consumer_clock"
	hint := "timedatectl status # on the servers; have all follow NTP\n"
	if c.Manage {
		hint += "start the service: it recreates the consumer within seconds; if it runs, see its log"
	} else {
		hint += "nats consumer rm " + handler.DurableName +
			" # and create it again as it was; the ledger has the served requests"
	}
	if future, found := s.Withholding(); found {
		return fault(name, hint, "%s: the server may withhold the requests in flight until then", future)
	}
	var all []string
	for _, future := range s.FutureTimes() {
		all = append(all, future.String())
	}
	if len(all) > 0 {
		return warning(name, "timedatectl status # on the servers; have all follow NTP",
			"a clock was ahead: %s. Messages of that time are kept longer than max_age", strings.Join(all, "; "))
	}
	return ok(name, "streams and consumer have no times of the future")
}
