package postgres

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

func TestLateTimeoutErrorIsAnOutage(t *testing.T) {
	t.Parallel()
	configured := timeouts{lock: 10 * time.Second, statement: time.Minute}
	for _, c := range []struct {
		code  string
		took  time.Duration
		force timeouts
		late  bool
	}{
		{"55P03", 11 * time.Second, configured, false},
		{"55P03", 14 * time.Second, configured, false}, // it waited for two locks
		{"55P03", 16 * time.Second, configured, true},
		{"57014", 61 * time.Second, configured, false},
		{"57014", 80 * time.Second, configured, false},
		{"57014", 91 * time.Second, configured, true},
		{"57014", 61 * time.Second, timeouts{lock: time.Second}, false}, // an operator cancelled it
		{"55P03", time.Hour, timeouts{statement: time.Second}, false},   // NOWAIT
		{"55P03", 900 * time.Millisecond, timeouts{lock: 10 * time.Millisecond}, false},
		{"55P03", 2 * time.Second, timeouts{lock: 10 * time.Millisecond}, true},
		{"40P01", time.Hour, configured, false},
		{"", time.Hour, configured, false},
	} {
		var err error = &pgconn.PgError{Code: c.code}
		if c.code == "" {
			err = errors.New("no answer")
		}
		// The order of classify and stall does not matter.
		for _, err := range []error{
			classify(stall(fmt.Errorf("a step: %w", err), time.Now().Add(-c.took), c.force)),
			stall(classify(err), time.Now().Add(-c.took), c.force),
		} {
			var fault *pipeline.Fault
			if !errors.As(err, &fault) || c.code != "" && (fault.Class == pipeline.Outage) != c.late {
				t.Errorf("%s after %s: %v", c.code, c.took, err)
			}
		}
	}
	if stall(nil, time.Now().Add(-time.Hour), configured) != nil {
		t.Error("a success is an error")
	}
}
