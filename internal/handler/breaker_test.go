package handler

import (
	"bytes"
	"context"
	"errors"
	"fmt"
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

// breakerTest is a breaker and its prober on a fake clock, with a fake database.
type breakerTest struct {
	*breaker
	outage         atomic.Pointer[error]
	rehearsalFault atomic.Pointer[error] // of a rehearsal
	guardFault     atomic.Pointer[error] // of the guard
	probes         atomic.Int32
	log            bytes.Buffer
}

func runBreakerTest(t *testing.T, test func(t *testing.T, b *breakerTest)) {
	t.Helper()
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := &breakerTest{}
		b.breaker = newBreaker(func(context.Context) error {
			b.probes.Add(1)
			if err := b.outage.Load(); err != nil {
				return *err
			}
			return nil
		}, func(context.Context) error {
			if err := b.rehearsalFault.Load(); err != nil {
				return *err
			}
			return nil
		}, func(context.Context) error {
			if err := b.guardFault.Load(); err != nil {
				return *err
			}
			return nil
		}, Backoff{Min: time.Second, Max: 10 * time.Second, Random: func() float64 { return 0 }}, func() {}, slog.New(slog.NewTextHandler(&b.log, nil)))
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); b.run(ctx) }()
		test(t, b)
		cancel()
		<-done
	})
}

func (b *breakerTest) set(err error) {
	if err == nil {
		b.outage.Store(nil)
		return
	}
	b.outage.Store(&err)
}

// passes reports whether wait returns immediately.
func passes(wait func(context.Context) error) bool {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	go func() { result <- wait(ctx) }()
	synctest.Wait()
	cancel()
	return <-result == nil
}

func (b *breakerTest) is(t *testing.T, when string, reason error, work, intake bool) {
	t.Helper()
	if err := b.err(); !errors.Is(err, reason) || (err == nil) != (reason == nil) {
		t.Errorf("%s: reason %v, want %v", when, err, reason)
	}
	testkit.Equal(t, when+": work passes", passes(b.wait), work)
	testkit.Equal(t, when+": intake passes", passes(b.ready), intake)
}

// An idle replica detects an outage, and its end, by probing.
func TestIdleBreakerProbes(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		time.Sleep(10*probeInterval + time.Second)
		testkit.Equal(t, "probes", b.probes.Load(), 10)
		b.is(t, "initially", nil, true, true)
		b.set(errOutage)
		time.Sleep(probeInterval)
		b.is(t, "unavailable", errOutage, false, false)
		b.set(nil)
		time.Sleep(maxServerBackoff)
		b.is(t, "available", nil, true, true)
	})
}

// A database that is available again may have been restored: nothing continues before it is compared with the streams.
func TestOutageEndsAfterTheGuard(t *testing.T) {
	t.Parallel()
	for name, byWork := range map[string]bool{"idle": false, "work was interrupted": true} {
		t.Run(name, func(t *testing.T) {
			runBreakerTest(t, func(t *testing.T, b *breakerTest) {
				if byWork {
					b.interrupt()
					b.trip(errOutage)
				} else {
					b.set(errOutage)
					time.Sleep(probeInterval + time.Second)
				}
				b.is(t, "unavailable", errOutage, false, false)
				older := fmt.Errorf("%w: older", ErrRestored)
				b.guardFault.Store(&older)
				b.set(nil)
				time.Sleep(3 * maxServerBackoff)
				b.is(t, "restored", ErrRestored, false, false)
				testkit.Contains(t, "log", b.log.String(), "not compared with the streams")
				b.guardFault.Store(nil)
				time.Sleep(maxServerBackoff)
				if byWork {
					b.is(t, "repaired", ErrRestored, true, false)
					b.succeeded()
				}
				b.is(t, "at the end", nil, true, true)
			})
		})
	}
}

func TestNoProbesWhileWorkSucceeds(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		for range 20 {
			b.succeeded()
			time.Sleep(probeInterval / 2)
		}
		testkit.Equal(t, "probes", b.probes.Load(), 0)
	})
}

// A fault that only an operator can fix pauses everything, as an outage does.
func TestBreakerTripsOnAMissingPermission(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		denied := pipeline.Permanentf(events.CausePermissionDenied, "no")
		b.set(denied)
		time.Sleep(probeInterval + time.Second)
		b.is(t, "denied", denied, false, false)
		b.set(nil)
		time.Sleep(maxServerBackoff)
		b.is(t, "granted", nil, true, true)
	})
}

// A fault of the probe alone does not trip the breaker.
func TestTransientFaultDoesNotTripTheBreaker(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		b.set(errTransient)
		time.Sleep(2*probeInterval + time.Second)
		testkit.Equal(t, "probes", b.probes.Load(), 2)
		b.is(t, "after the fault", nil, true, true)
	})
}

// An unclassified fault of a probe is an outage if a rehearsal has it too.
func TestBreakerTripsIfARehearsalFails(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		broken := errors.New("the registry is broken")
		b.set(errTransient)
		b.rehearsalFault.Store(&broken)
		time.Sleep(probeInterval + time.Second)
		b.is(t, "broken", broken, false, false)
		b.set(nil)
		b.rehearsalFault.Store(nil)
		time.Sleep(maxServerBackoff)
		b.is(t, "fixed", nil, true, true)
	})
}

// An outage that interrupted work lasts as long as a rehearsal fails, whatever probes return.
func TestOutageLastsWhileARehearsalFails(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		full := errors.New("disk full")
		b.rehearsalFault.Store(&full)
		b.interrupt()
		b.trip(full)
		time.Sleep(time.Hour)
		b.is(t, "after an hour of probes", full, false, false)
		b.rehearsalFault.Store(nil)
		time.Sleep(maxServerBackoff)
		b.is(t, "rehearsed", full, true, false)
		b.succeeded()
		b.is(t, "work succeeded", nil, true, true)
	})
}

// An outage that interrupted work ends when work succeeds, not when a probe does.
func TestOutageEndsWhenWorkSucceeds(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		full := errors.New("disk full")
		b.interrupt()
		b.trip(full)
		b.is(t, "tripped", full, false, false)
		b.succeeded() // began before the outage
		b.is(t, "success of older work", full, false, false)
		time.Sleep(time.Second)
		b.is(t, "probe succeeded", full, true, false)
		var waited []time.Duration
		for range 4 {
			b.trip(full)
			b.is(t, "failed again", full, false, false)
			since := time.Now()
			testkit.Must(t, b.wait(t.Context()))
			waited = append(waited, time.Since(since))
			b.is(t, "probe succeeded again", full, true, false)
		}
		testkit.Equal(t, "backoff", fmt.Sprint(waited), "[1s 2s 4s 5s]")
		b.succeeded()
		b.is(t, "work succeeded", nil, true, true)
	})
}

// An outage that interrupted no work that still waits ends with a probe: intake would wait for that work forever.
func TestOutageWithoutWorkEndsWithAProbe(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]func(t *testing.T, b *breakerTest){
		"only the guard met it": func(_ *testing.T, b *breakerTest) { b.trip(errOutage) },
		"the work is abandoned before": func(_ *testing.T, b *breakerTest) {
			end := b.interrupt()
			b.trip(errOutage)
			end()
		},
		"the work is abandoned when it may retry": func(t *testing.T, b *breakerTest) {
			end := b.interrupt()
			b.trip(errOutage)
			time.Sleep(maxServerBackoff)
			b.is(t, "work retries", errOutage, true, false)
			end()
		},
		"the guard meets it again before the work succeeds": func(t *testing.T, b *breakerTest) {
			end := b.interrupt()
			b.trip(errOutage)
			time.Sleep(maxServerBackoff)
			b.is(t, "work retries", errOutage, true, false)
			b.trip(errTransient)
			b.succeeded()
			end()
		},
	} {
		t.Run(name, func(t *testing.T) {
			runBreakerTest(t, func(t *testing.T, b *breakerTest) {
				test(t, b)
				time.Sleep(maxServerBackoff)
				b.is(t, "afterwards", nil, true, true)
			})
		})
	}
}

// Interrupted work retries, and waits: a probe finds why. The work continues, and ends the outage once it succeeds.
func TestProbeFindsWhyRetriedWorkWaits(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		terminated, waiting := errors.New("connection terminated"), errors.New("commits wait for a synchronous standby")
		b.interrupt()
		b.trip(terminated)
		time.Sleep(2 * time.Second)
		b.is(t, "work retries", terminated, true, false)
		b.set(waiting)
		time.Sleep(2 * probeInterval)
		b.is(t, "work waits", waiting, true, false)
		testkit.Contains(t, "log", b.log.String(), `"database is still unavailable" error="commits wait for a synchronous standby"`)
		b.set(nil)
		time.Sleep(2 * probeInterval)
		b.is(t, "work may have ended", waiting, true, false)
		b.succeeded()
		b.is(t, "work succeeded", nil, true, true)
	})
}

// If work fails in an outage that the prober detected first, only work can end it.
func TestWorkFailsAfterTheProberTripsTheBreaker(t *testing.T) {
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		b.set(errOutage)
		time.Sleep(probeInterval)
		synctest.Wait()
		b.interrupt()
		b.trip(errTransient)
		b.set(nil)
		time.Sleep(maxServerBackoff)
		b.is(t, "probe succeeded", errOutage, true, false)
		b.succeeded()
		b.is(t, "work succeeded", nil, true, true)
	})
}

// logs asserts what was logged since the last call, by the parts of each line.
func (b *breakerTest) logs(t *testing.T, when string, lines ...string) {
	t.Helper()
	synctest.Wait()
	b.mu.Lock() // the breaker logs under it
	defer b.mu.Unlock()
	got := strings.Split(strings.TrimSuffix(b.log.String(), "\n"), "\n")
	b.log.Reset()
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
	runBreakerTest(t, func(t *testing.T, b *breakerTest) {
		full, other := errors.New("disk full"), errors.New("the server is starting up")
		b.set(errOutage)
		b.interrupt()
		b.trip(full)
		time.Sleep(time.Hour)
		b.logs(t, "after an hour", `level=ERROR msg="database is unavailable; intake paused" error="disk full"`,
			`level=WARN msg="database is still unavailable"`)
		b.set(other)
		time.Sleep(time.Hour)
		b.logs(t, "another reason", `error="the server is starting up" not_logged=`)
		b.set(nil)
		for range 20 {
			time.Sleep(maxServerBackoff)
			synctest.Wait()
			b.trip(full)
		}
		b.logs(t, "probes succeed", `level=WARN msg="database answers probes, but work fails; intake stays paused" error="disk full"`)
		time.Sleep(maxServerBackoff)
		synctest.Wait()
		b.succeeded()
		b.logs(t, "the end", `level=INFO msg="database is available; intake resumed" failures=`)
		if b.probes.Load() < 700 {
			t.Errorf("%d probes", b.probes.Load())
		}
	})
}
