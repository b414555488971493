package handler

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// breakerTest is a breaker and its prober, on a clock of their own, with a fake database.
type breakerTest struct {
	*breaker
	outage         atomic.Pointer[error]
	rehearsalFault atomic.Pointer[error] // of a rehearsal
	probes         atomic.Int32
	written        bytes.Buffer // the log
}

func runBreakerTest(t *testing.T, test func(t *testing.T, g *breakerTest)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := &breakerTest{}
		g.breaker = newBreaker(func(context.Context) error {
			g.probes.Add(1)
			if err := g.outage.Load(); err != nil {
				return *err
			}
			return nil
		}, func(context.Context) error {
			if err := g.rehearsalFault.Load(); err != nil {
				return *err
			}
			return nil
		}, Backoff{Min: time.Second, Max: 10 * time.Second, Random: func() float64 { return 0 }}, func() {}, slog.New(slog.NewTextHandler(&g.written, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); g.run(ctx) }()
		test(t, g)
		cancel()
		<-done
	})
}

func (g *breakerTest) set(err error) {
	if err == nil {
		g.outage.Store(nil)
		return
	}
	g.outage.Store(&err)
}

// passes reports whether wait returns at once.
func passes(wait func(context.Context) error) bool {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- wait(ctx) }()
	synctest.Wait()
	cancel()
	return <-result == nil
}

func (g *breakerTest) is(t *testing.T, when string, reason error, work, intake bool) {
	t.Helper()
	if err := g.err(); !errors.Is(err, reason) || (err == nil) != (reason == nil) {
		t.Errorf("%s: reason %v, want %v", when, err, reason)
	}
	testkit.Equal(t, when+": work passes", passes(g.wait), work)
	testkit.Equal(t, when+": intake passes", passes(g.ready), intake)
}

// An idle replica notices an outage, and its end, by probing.
func TestIdleGateAsks(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		time.Sleep(10*probeInterval + time.Second)
		testkit.Equal(t, "probes", g.probes.Load(), 10)
		g.is(t, "at first", nil, true, true)
		g.set(errOutage)
		time.Sleep(probeInterval)
		g.is(t, "away", errOutage, false, false)
		g.set(nil)
		time.Sleep(maxServerBackoff)
		g.is(t, "back", nil, true, true)
	})
}

func TestGateDoesNotAskWhileWorkTells(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		for range 20 {
			g.succeeded()
			time.Sleep(probeInterval / 2)
		}
		testkit.Equal(t, "probes", g.probes.Load(), 0)
	})
}

// A fault that only an operator can fix pauses everything, as an outage does.
func TestGateClosesForAMissingRight(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		denied := pipeline.Permanentf(events.CausePermissionDenied, "no")
		g.set(denied)
		time.Sleep(probeInterval + time.Second)
		g.is(t, "denied", denied, false, false)
		g.set(nil)
		time.Sleep(maxServerBackoff)
		g.is(t, "granted", nil, true, true)
	})
}

// A fault of the probe alone does not trip the breaker.
func TestGateStaysOpenForATransientFault(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		g.set(errTransient)
		time.Sleep(2*probeInterval + time.Second)
		testkit.Equal(t, "probes", g.probes.Load(), 2)
		g.is(t, "after it", nil, true, true)
	})
}

// An unclassified fault of a probe is an outage if a rehearsal has it too.
func TestGateClosesWhereARehearsalFails(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		broken := errors.New("the registry is broken")
		g.set(errTransient)
		g.rehearsalFault.Store(&broken)
		time.Sleep(probeInterval + time.Second)
		g.is(t, "broken", broken, false, false)
		g.set(nil)
		g.rehearsalFault.Store(nil)
		time.Sleep(maxServerBackoff)
		g.is(t, "fixed", nil, true, true)
	})
}

// An outage that interrupted work lasts as long as a rehearsal fails, whatever probes return.
func TestOutageLastsWhileARehearsalFails(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		full := errors.New("disk full")
		g.rehearsalFault.Store(&full)
		g.trip(full)
		time.Sleep(time.Hour)
		g.is(t, "probed for an hour", full, false, false)
		g.rehearsalFault.Store(nil)
		time.Sleep(maxServerBackoff)
		g.is(t, "rehearsed", full, true, false)
		g.succeeded()
		g.is(t, "over", nil, true, true)
	})
}

// An outage that interrupted work ends when work succeeds, not when a probe does.
func TestOutageIsOverWhenWorkGetsThrough(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		full := errors.New("disk full")
		g.trip(full)
		g.is(t, "closed", full, false, false)
		g.succeeded() // began before the outage
		g.is(t, "an old success", full, false, false)
		time.Sleep(time.Second)
		g.is(t, "answered", full, true, false)
		for range 4 { // with backoff
			g.trip(full)
			g.is(t, "failed again", full, false, false)
			time.Sleep(8 * time.Second)
			g.is(t, "answered again", full, true, false)
		}
		if n := g.probes.Load(); n != 5 {
			t.Errorf("%d probes", n)
		}
		g.succeeded()
		g.is(t, "got through", nil, true, true)
	})
}

// If work meets an outage that the prober found first, only work can end it.
func TestWorkMeetsWhatTheProberNoticed(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		g.set(errOutage)
		time.Sleep(probeInterval)
		synctest.Wait()
		g.trip(errTransient)
		g.set(nil)
		time.Sleep(maxServerBackoff)
		g.is(t, "answered", errOutage, true, false)
		g.succeeded()
		g.is(t, "got through", nil, true, true)
	})
}

// logs asserts what was logged since the last call, by the parts of each line.
func (g *breakerTest) logs(t *testing.T, when string, lines ...string) {
	t.Helper()
	synctest.Wait()
	g.mu.Lock() // the breaker logs under it
	defer g.mu.Unlock()
	got := strings.Split(strings.TrimSuffix(g.written.String(), "\n"), "\n")
	g.written.Reset()
	if len(lines) == 0 {
		lines = []string{""}
	}
	testkit.Equal(t, when+": lines", len(got), len(lines))
	for i := range min(len(got), len(lines)) {
		if !strings.Contains(got[i], lines[i]) {
			t.Errorf("%s: got %q, want %q", when, got[i], lines[i])
		}
	}
}

// However long an outage lasts, each of its reasons is logged once, and so is its end.
func TestOutageIsLoggedOnce(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, g *breakerTest) {
		full, other := errors.New("disk full"), errors.New("the server is starting up")
		g.set(errOutage)
		g.trip(full)
		time.Sleep(time.Hour)
		g.logs(t, "an hour", `level=ERROR msg="database is unavailable; intake paused" error="disk full"`,
			`level=WARN msg="database is still unavailable"`)
		g.set(other)
		time.Sleep(time.Hour)
		g.logs(t, "another reason", `error="the server is starting up" not_logged=`)
		g.set(nil)
		for range 20 {
			time.Sleep(maxServerBackoff)
			synctest.Wait()
			g.trip(full)
		}
		g.logs(t, "it answers", `level=WARN msg="database answers probes, but work fails; intake stays paused" error="disk full"`)
		time.Sleep(maxServerBackoff)
		synctest.Wait()
		g.succeeded()
		g.logs(t, "the end", `level=INFO msg="database is available; intake resumed" failures=`)
		if g.probes.Load() < 700 {
			t.Errorf("%d probes", g.probes.Load())
		}
	})
}
