package sql

import (
	"errors"
	"fmt"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
)

// ErrNotFound means that the registry or the ledger has no such row.
var ErrNotFound = errors.New("not found")

// ErrNoRegistry means that there is no registry in the configured place.
var ErrNoRegistry = errors.New("no registry")

// Misplaced is a registered tenant whose boundary is not the one that the name template produces, which is where DocEX
// looks.
type Misplaced struct {
	TenantID     string
	RegisteredAs string // its boundary in the registry; empty: the template's
	Expected     string // the template's boundary
	Owner        string // the other tenant that the expected boundary is registered for; empty: none
}

// TenantRow is a row of the registry, written by this service or by another program.
type TenantRow struct {
	pipeline.Tenant
	System    bool
	UpdatedAt time.Time
	UpdatedBy string // empty: never updated
}

// StrategyDrift describes an isolation strategy in the registry that is not the engine's; empty: it is.
func (r *TenantRow) StrategyDrift(want string) []string {
	if r.IsolationStrategy == want {
		return nil
	}
	return []string{fmt.Sprintf("the registered isolation_strategy is %q, want %q; correct it in tenant_registry",
		r.IsolationStrategy, want)}
}

// Scan reads a row as each engine's tenant.sql and tenants.sql select it.
func (r *TenantRow) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&r.ID, &r.DisplayName, &r.System, &r.IsolationStrategy,
		&r.Boundary.SchemaName, &r.Boundary.DatabasePath,
		(*utc)(&r.CreatedAt), &r.CreatedBy, (*utc)(&r.UpdatedAt), &r.UpdatedBy,
		&r.Plan.Name, &r.Plan.Limits.MaxBytes, &r.Plan.Limits.MaxRows, &r.Definition)
}

// NoPlan is what an engine selects instead of plan_columns.sql from a registry that has yet to get these columns.
const NoPlan = "'', 0, 0"

// NoDefinition is the same for definition_column.sql.
const NoDefinition = "''"

// PlanCount is a plan of the registry, and how many tenants have it.
type PlanCount struct {
	Plan    string
	Tenants int
}

// utc scans a time that is stored as text, in UTC and without a zone.
type utc time.Time

// Scan reads the time. Text that is not a time yields the zero time: one malformed row must not hide the others.
func (u *utc) Scan(value any) error {
	text, _ := value.(string)
	*u = utc(parseUTC(text))
	return nil
}

func parseUTC(text string) time.Time {
	for _, layout := range []string{time.DateTime, "2006-01-02T15:04:05"} { // both accept a fraction
		if t, err := time.Parse(layout, text); err == nil {
			return t
		}
	}
	return time.Time{}
}
