package pipeline

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"example.com/tenant-provisioner/events"
)

// rehearsing is a database whose rehearsal has this duration and result.
type rehearsing struct {
	*fake
	takes time.Duration
	err   error
	times int
}

func (r *rehearsing) Rehearse(ctx context.Context) error {
	r.times++
	select {
	case <-time.After(r.takes):
		return r.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func rehearsed(t *testing.T, r *rehearsing) *Provisioner {
	t.Helper()
	b := newTestbed()
	b.config.Database = r
	p, err := New(b.config)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// The class that judge returns, by the fault's own class, the result of a rehearsal, and how often the fault has
// interrupted the same work.
func TestJudge(t *testing.T) {
	t.Parallel()
	why := errors.New("why")
	shared := &Fault{DriverCode: "42703", Err: why}
	denied := &Fault{Class: Permanent, Code: events.CausePermissionDenied, Err: why}
	conflict := &Fault{Class: Permanent, Code: events.CauseSchemaInvalid, DriverCode: "42P16", Err: why}
	for name, c := range map[string]struct {
		fault     *Fault
		trips     int
		rehearsal error
		takes     time.Duration
		want      Class
		times     int
	}{
		"transient, of one request":       {fault: &Fault{Err: why}, want: Transient, times: 1},
		"transient, shared":               {fault: &Fault{Err: why}, rehearsal: shared, want: Outage, times: 1},
		"with a message":                  {fault: &Fault{Message: "x"}, rehearsal: shared, want: Transient},
		"outage":                          {fault: &Fault{Class: Outage}, want: Outage},
		"repeated outage, of one request": {fault: &Fault{Class: Outage}, trips: maxTrips, want: Transient, times: 1},
		"repeated outage, shared":         {fault: &Fault{Class: Outage}, trips: maxTrips, rehearsal: shared, want: Outage, times: 1},
		"a permission":                    {fault: denied, rehearsal: shared, want: Permanent},
		"a conflict, of one request":      {fault: conflict, want: Permanent, times: 1},
		"a conflict, shared":              {fault: conflict, rehearsal: shared, want: Outage, times: 1},
		"no permission for a rehearsal":   {fault: &Fault{Err: why}, rehearsal: denied, want: Transient, times: 1},
		"a wait, of one request":          {fault: &Fault{TimedOut: true, Err: why}, takes: time.Second / 2, want: Transient, times: 1},
		"a wait, shared":                  {fault: &Fault{TimedOut: true, Err: why}, takes: 2 * time.Second, want: Outage, times: 1},
		"a slow machine":                  {fault: &Fault{Err: why}, takes: 2 * time.Second, want: Transient, times: 1},
		"a rehearsal without an end":      {fault: &Fault{Err: why}, takes: time.Hour, want: Outage, times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &rehearsing{fake: newFake(), err: c.rehearsal, takes: c.takes}
				got, err := rehearsed(t, r).judge(t.Context(), c.fault, c.trips)
				if got.Class != c.want || r.times != c.times || err == nil {
					t.Errorf("class %v after %d rehearsals (%v), want %v after %d", got.Class, r.times, err, c.want, c.times)
				}
			})
		})
	}
}

// Calls during a rehearsal wait for the next one and share it, also if it ends at its timeout.
func TestRehearsalsAreShared(t *testing.T) {
	t.Parallel()
	for name, takes := range map[string]time.Duration{"quick": time.Second, "without an end": time.Hour} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := &rehearsing{fake: newFake(), takes: takes}
				p := rehearsed(t, r)
				ended := make(chan error)
				rehearse := func() { ended <- p.Rehearse(t.Context()) }
				go rehearse()
				synctest.Wait()
				for range 10 {
					go rehearse()
				}
				for range 11 {
					if err := <-ended; (err == nil) != (takes < rehearsalTimeout) {
						t.Error(err)
					}
				}
				if r.times != 2 {
					t.Errorf("%d rehearsals, want 2", r.times)
				}
			})
		})
	}
}
