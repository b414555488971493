package database

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
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

// Several faults of seed data are a line each.
func TestRehearsalFaultsAreLines(t *testing.T) {
	t.Parallel()
	var faults sql.SeedFaults
	faults.Add("a.csv", 0, "the tenant has no table a")
	faults.Add("b.csv", 3, "column c is null; write one")
	const want = "SEED_DATA: a.csv: the tenant has no table a\nSEED_DATA: b.csv, line 3: column c is null; write one\n" +
		"SEED_DATA: correct the files and start again: a rehearsal found this, and no tenant has met it"
	testkit.Equal(t, "text", fmt.Sprint(rehearsalFault(fmt.Errorf("rehearsal failed: %w", faults.Err()))), want)
	fault, ok := errors.AsType[*pipeline.Fault](faults.Err())
	testkit.Equal(t, "is a fault", ok, true)
	testkit.Equal(t, "text of an outcome", fault.Message, "a.csv: the tenant has no table a; b.csv, line 3: column c is null; write one")
}
