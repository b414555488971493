package database

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

func TestRehearsalFaultNamesTheVariable(t *testing.T) {
	t.Parallel()
	script := pipeline.ScriptFailed("010_a.sql", 3, "42601", errors.New("broken"))
	seed := pipeline.SeedFailed("item.csv", 2, "22001", errors.New("too long"))
	other := &pipeline.Fault{Code: events.CausePermissionDenied, Err: errors.New("denied")}
	for want, err := range map[string]error{
		"INIT_SCRIPTS: 010_a.sql, line 3: broken; correct the file": fmt.Errorf("rehearsal failed: %w", script),
		"SEED_DATA: item.csv, line 2: too long; correct the file":   fmt.Errorf("rehearsal failed: %w", seed),
		"rehearsal failed: denied":                                  fmt.Errorf("rehearsal failed: %w", other),
	} {
		if got := rehearsalFault(err); !strings.HasPrefix(got.Error(), want) || !errors.Is(got, errors.Unwrap(err)) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if err := rehearsalFault(nil); err != nil {
		t.Error(err)
	}
}
