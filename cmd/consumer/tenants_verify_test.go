package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/schollz/progressbar/v3"
	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/terminal"
	"example.com/tenant-provisioner/internal/testkit"
)

// fakeRegistry has tenants t0000, t0001, …; check returns the result of each.
type fakeRegistry struct {
	database.Registry
	tenants int
	check   func(ctx context.Context, number int) (pipeline.Inspection, error)
}

func (r fakeRegistry) Count(context.Context) (int, error) { return r.tenants, nil }

func (r fakeRegistry) Tenants(_ context.Context, after string, limit int) (page []sql.TenantRow, err error) {
	for n := range r.tenants {
		if id := fmt.Sprintf("t%04d", n); id > after && len(page) < limit {
			page = append(page, sql.TenantRow{Tenant: pipeline.Tenant{ID: id}})
		}
	}
	return page, nil
}

func (r fakeRegistry) Verify(ctx context.Context, t sql.TenantRow) (pipeline.Inspection, error) {
	var number int
	if _, err := fmt.Sscanf(t.ID, "t%d", &number); err != nil {
		return pipeline.Inspection{}, err
	}
	return r.check(ctx, number)
}

func (r fakeRegistry) verify(ctx context.Context, workers int) (stdout string, err error) {
	var out testkit.Output
	v := &verification{
		registry: r, workers: workers, out: &out, summary: &out, colours: terminal.NewPalette(false),
		newBar: func(total int) *progressbar.ProgressBar { return progressbar.DefaultSilent(int64(total)) },
	}
	err = v.run(ctx, nil)
	return out.String(), err
}

func TestVerifyShowsTenantsInOrderAcrossPages(t *testing.T) {
	t.Parallel()
	var running, most atomic.Int64
	stdout, err := fakeRegistry{tenants: 3*database.PageSize + 7, check: func(context.Context, int) (pipeline.Inspection, error) {
		most.Store(max(most.Load(), running.Add(1)))
		defer running.Add(-1)
		return pipeline.Inspection{Differences: []string{"x"}}, nil
	}}.verify(t.Context(), 3)
	if !errors.Is(err, errSilent) || most.Load() > 3 {
		t.Errorf("%v, %d in parallel", err, most.Load())
	}
	var want strings.Builder
	for n := range 3*database.PageSize + 7 {
		fmt.Fprintf(&want, "✗ t%04d\n    x\n", n)
	}
	fmt.Fprintf(&want, "checked %d, in order 0, with warnings 0, drifted %[1]d, could not be read 0\n", 3*database.PageSize+7)
	testkit.Equal(t, "stdout", stdout, want.String())
}

// A fault of one tenant does not stop the verification of the others; an unavailable database does,
// and the tenants that could not be read are not reported.
func TestVerifyDistinguishesAnOutageFromATenantsFault(t *testing.T) {
	t.Parallel()
	stdout, err := fakeRegistry{tenants: 9, check: func(_ context.Context, n int) (pipeline.Inspection, error) {
		switch n {
		case 1:
			return pipeline.Inspection{}, &pipeline.Fault{Class: pipeline.Permanent, Message: "denied"}
		case 2:
			return pipeline.Inspection{}, &pipeline.Fault{Class: pipeline.Transient, Message: "locked\n\x1b[2J"}
		case 4:
			return pipeline.Inspection{}, &pipeline.Fault{Class: pipeline.Outage, Message: "the server is gone"}
		}
		return pipeline.Inspection{}, nil
	}}.verify(t.Context(), 1)
	if err == nil || errors.Is(err, errSilent) || err.Error() != `tenant "t0004": the server is gone` {
		t.Error(err)
	}
	testkit.Equal(t, "stdout", stdout, "? t0001\n    could not be read: denied\n? t0002\n    could not be read: \"locked\\n\\x1b[2J\"\n"+
		"checked 4, in order 2, with warnings 0, drifted 0, could not be read 2\n")
}

func TestVerifyInterrupted(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	stdout, err := fakeRegistry{tenants: 9, check: func(ctx context.Context, n int) (pipeline.Inspection, error) {
		if n == 3 {
			interrupt()
			<-ctx.Done()
			return pipeline.Inspection{}, &pipeline.Fault{Class: pipeline.Outage, Err: ctx.Err()}
		}
		return pipeline.Inspection{}, nil
	}}.verify(ctx, 1)
	if err == nil || !strings.Contains(err.Error(), "interrupted") {
		t.Error(err)
	}
	testkit.Equal(t, "stdout", stdout, "checked 3, in order 3, with warnings 0, drifted 0, could not be read 0\n")
}

func TestProgressIsForTerminals(t *testing.T) {
	t.Parallel()
	var out testkit.Output
	bar := (&app{terminal.IO{Err: &out, Env: envconfig.MapLookuper(nil)}}).ProgressBar(2, "verifying", "tenants")
	testkit.Must(t, bar.Add(1))
	testkit.Must(t, bar.Clear())
	testkit.Must(t, bar.Add(1))
	testkit.Equal(t, "output without a terminal", out.String(), "")
}
