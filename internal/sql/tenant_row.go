package sql

import (
	"errors"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
)

// ErrNotFound says that registry or ledger have no such row.
var ErrNotFound = errors.New("not found")

// ErrNoRegistry says that there is no registry where the configuration has it.
var ErrNoRegistry = errors.New("no registry")

// Misplaced is a registered tenant whose boundary is not the one that the name template gives, where DocEX looks.
type Misplaced struct {
	TenantID     string
	RegisteredAs string // its boundary by the registry; empty: by the template
	Expected     string // its boundary by the template
	Owner        string // for whom the expected one is registered; empty: for nobody else
}

// TenantRow is a row of the registry, whoever wrote it.
type TenantRow struct {
	pipeline.Tenant
	System    bool
	UpdatedAt time.Time
	UpdatedBy string // empty: nobody has
}

// Scan reads the row as tenant.sql and tenants.sql of each engine select it.
func (r *TenantRow) Scan(row interface{ Scan(dest ...any) error }) error {
	return row.Scan(&r.ID, &r.DisplayName, &r.System, &r.IsolationStrategy,
		&r.Boundary.SchemaName, &r.Boundary.DatabasePath,
		(*utc)(&r.CreatedAt), &r.CreatedBy, (*utc)(&r.UpdatedAt), &r.UpdatedBy)
}

// utc scans a time that is stored in UTC, without a zone, as text.
type utc time.Time

// Scan reads the time; what is none gives the zero time, because one odd row must not hide the others.
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
