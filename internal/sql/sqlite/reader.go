package sqlite

import (
	"cmp"
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// Reader reads registry, ledger and tenants' files. It creates and changes no file or directory, and keeps no file open
// between calls. It is safe for concurrent use, but not in a process that has a [Store] open on the same directory: see
// readFile.
type Reader struct {
	root     string
	registry string
	names    sql.PathTemplate
	ledger   bool // there is a ledger with a history
	stamped  bool // the registry has an id
	latest   bool // the registry has the columns of checkpoint and retention
	planned  bool // the registry has the columns of plans
	scripted bool // the registry has the table of applied scripts
	compares bool // scripts are configured
	own      bool // the scripts make all that a tenant has
	stored   struct {
		sync.Mutex
		read      bool
		reference *structure.Reference
	}
}

// OpenReader checks that there is a registry; it does not create one.
func OpenReader(ctx context.Context, c Config) (*Reader, error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	names, err := sql.NewPathTemplate(c.PathTemplate)
	if err != nil {
		return nil, err
	}
	r := &Reader{root: filepath.Clean(c.Root), names: names, compares: c.Scripts != nil, own: c.own()}
	r.registry = r.path(sql.BootstrapTenant)
	var registry bool
	err = readFile(ctx, r.registry, func(tx *databasesql.Tx) error {
		err := tx.QueryRowContext(ctx, q.Probe).Scan(&registry, &r.ledger, &r.stamped, &r.latest, &r.planned,
			&r.scripted)
		if err != nil {
			return err
		}
		return c.checkBase(ctx, tx)
	})
	switch {
	case missing(err), err == nil && !registry:
		return nil, fmt.Errorf("%w at %s: check DATABASE_URL and "+
			"DATABASE_PATH_TEMPLATE; the service creates the registry when it starts", sql.ErrNoRegistry, r.registry)
	case err != nil:
		return nil, fmt.Errorf("read the registry %s: %w", r.registry, registryFault(needsRecovery(err)))
	}
	return r, nil
}

// Close does nothing: a Reader keeps nothing open.
func (r *Reader) Close() error { return nil }

func (r *Reader) path(tenantID string) string {
	return filepath.Join(r.root, filepath.FromSlash(r.names.Path(tenantID)))
}

// read reads the registry.
func (r *Reader) read(ctx context.Context, what string, fn func(*databasesql.Tx) error) error {
	err := readFile(ctx, r.registry, fn)
	switch {
	case errors.Is(err, databasesql.ErrNoRows):
		return fmt.Errorf("read the %s: %w", what, sql.ErrNotFound)
	case err != nil:
		return fmt.Errorf("read the %s: %w", what, registryFault(needsRecovery(err)))
	}
	return nil
}

// CheckTables implements [database.Registry].
func (r *Reader) CheckTables(ctx context.Context) error {
	return r.read(ctx, "registry", func(tx *databasesql.Tx) error {
		if _, err := tx.ExecContext(ctx, q.CheckRegistry); err != nil {
			return err
		}
		_, missing := tx.ExecContext(ctx, q.CheckTables)
		if missing == nil {
			return nil
		}
		applied, err := collect(ctx, tx, q.AppliedMigrations, func(row scanner) (version int, err error) {
			err = row.Scan(&version)
			return version, err
		})
		if err == nil && slices.Contains(applied, latestMigration) {
			return missing
		}
		var shared bool // the table of migrations may not exist: DocEX's registry has none
		if err := tx.QueryRowContext(ctx, q.SharesBoundary).Scan(&shared); err != nil || !shared {
			return cmp.Or(err, sql.ErrNotMigrated)
		}
		return sql.SharedBoundary(sql.ErrShared, "tenant_registry")
	})
}

// Count returns the number of registered tenants.
func (r *Reader) Count(ctx context.Context) (n int, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) error {
		return tx.QueryRowContext(ctx, q.CountTenants).Scan(&n)
	})
	return n, err
}

// ofTenants returns the text of a query of tenants for a registry that may lack the columns of plans and definition.
func (r *Reader) ofTenants(text string) string {
	if !r.planned {
		text = strings.Replace(text, q.PlanColumns, sql.NoPlan, 1)
	}
	if !r.scripted {
		text = strings.Replace(text, q.DefinitionColumn, sql.NoDefinition, 1)
	}
	return text
}

// CountPlans implements [database.Registry].
func (r *Reader) CountPlans(ctx context.Context, limit int) (all []sql.PlanCount, err error) {
	if !r.planned {
		return nil, nil
	}
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) (err error) {
		all, err = collect(ctx, tx, q.CountPlans, func(row scanner) (c sql.PlanCount, err error) {
			err = row.Scan(&c.Plan, &c.Tenants)
			return c, err
		}, limit)
		return err
	})
	return all, err
}

// Tenants returns a page of the registry: at most limit rows, ordered by id, after that id.
func (r *Reader) Tenants(ctx context.Context, after string, limit int) (page []sql.TenantRow, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) (err error) {
		page, err = collect(ctx, tx, r.ofTenants(q.Tenants), func(row scanner) (t sql.TenantRow, err error) {
			err = t.Scan(row)
			return t, err
		}, after, limit)
		return err
	})
	return page, err
}

// Tenant returns the row whose id equals id without regard to case, preferring the exact spelling, or
// [sql.ErrNotFound].
func (r *Reader) Tenant(ctx context.Context, id string) (t sql.TenantRow, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) error {
		return t.Scan(tx.QueryRowContext(ctx, r.ofTenants(q.Tenant), id))
	})
	return t, err
}

// Request returns the ledger's row with this key, or [sql.ErrNotFound].
func (r *Reader) Request(ctx context.Context, key string) (rec sql.RequestRecord, err error) {
	if !r.ledger {
		return rec, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) error {
		return rec.Scan(tx.QueryRowContext(ctx, q.Record, key))
	})
	return rec, err
}

// Requests returns at most limit requests, the latest first, without outcome and history.
func (r *Reader) Requests(
	ctx context.Context, f sql.RequestFilter, limit int,
) (all []sql.RequestRecord, err error) {
	if !r.ledger {
		return nil, sql.ErrNoLedger
	}
	err = r.read(ctx, "ledger", func(tx *databasesql.Tx) (err error) {
		all, err = readRequests(ctx, tx, f, limit)
		return err
	})
	return all, err
}

// Verify compares the tenant's file with the definition, as step 4 does, and, if scripts are configured, with what they
// made when the service started last. The file is the template's, because DocEX uses
// the template; if that is missing, the registered one. It is a difference if the two are not the same, or if the file
// is missing or not a database. An error means that the file could not be read, never that it differs.
func (r *Reader) Verify(ctx context.Context, t sql.TenantRow) (pipeline.Inspection, error) {
	expected, registered := r.path(t.ID), t.Boundary.DatabasePath
	shared, file := sharedDir(r.path), expected
	if t.ID == sql.BootstrapTenant { // links may lead to the registry: no other tenant's path does
		if resolved, err := filepath.EvalSymlinks(file); err == nil {
			file = resolved
		}
		shared = filepath.Dir(file)
	}
	var last *structure.Reference
	if r.compares && r.scripted && t.ID != sql.BootstrapTenant {
		var err error
		if last, err = r.lastReference(ctx); err != nil {
			return pipeline.Inspection{}, err
		}
	}
	in, err := r.verifyFile(ctx, shared, file, last, t.Definition)
	moved := registered != "" && !r.isAt(t.ID, registered)
	if moved && missing(err) {
		in, err = r.verifyFile(ctx, filepath.Dir(registered), registered, last, t.Definition)
	}
	switch {
	case err == nil && r.own && last == nil && t.ID != sql.BootstrapTenant:
		in.Warnings = append(in.Warnings, sql.NoReference)
	case err == nil:
	case missing(err):
		in = pipeline.Inspection{Differences: []string{"the file " + expected + " is missing"}}
	case primary(err) == sqlite3.SQLITE_NOTADB:
		in = pipeline.Inspection{Differences: []string{expected + " is not a SQLite database"}}
	default:
		return in, fmt.Errorf("read the structure of %s: %w", expected, classify(needsRecovery(err)))
	}
	if moved {
		text := fmt.Sprintf("the registered database_path is %q, want %q, which is "+
			"what DATABASE_PATH_TEMPLATE gives and where applications look", registered, expected)
		if t.ID == sql.BootstrapTenant { // DocEX registers itself at a path that it does not use
			in.Warnings = append(in.Warnings, text)
		} else {
			in.Differences = append(in.Differences, text)
		}
	}
	in.Differences = append(in.Differences, t.StrategyDrift(events.IsolationDatabase)...)
	if !moved && hasOther(expected, registered) {
		in.Warnings = append(in.Warnings, fmt.Sprintf("the registered database_path %q is another file: this storage "+
			"directory is a copy of the one that it is in", registered))
	}
	return in, nil
}

// verifyFile compares a file with the definition and, unless it is nil, with the reference. madeBy is the definition
// that the registry has for the tenant.
func (r *Reader) verifyFile(
	ctx context.Context, shared, path string, reference *structure.Reference, madeBy string,
) (in pipeline.Inspection, err error) {
	why, err := notOwn(shared, path)
	if err != nil || why != "" {
		return pipeline.Inspection{Differences: []string{why + "; put the tenant's own file there"}}, err
	}
	err = readFile(ctx, path, func(tx *databasesql.Tx) (err error) {
		if !r.own {
			in, err = inspect(ctx, tx)
		}
		if err != nil || reference == nil {
			return err
		}
		found, err := readStructure(ctx, tx)
		if err != nil {
			return err
		}
		reference.Inspect(&in, found, madeBy)
		if r.own {
			in.Tables, in.Indexes = reference.Count(found)
		}
		return nil
	})
	return in, err
}

// UnderConstruction lists the files under construction that were started before that time. Unless the time is recent,
// no attempt takes that long, so they are leftovers.
func (r *Reader) UnderConstruction(ctx context.Context, before time.Time) (paths []string, err error) {
	err = filepath.WalkDir(r.root, func(path string, entry fs.DirEntry, err error) error {
		if err == nil {
			err = ctx.Err()
		}
		if err != nil || entry.IsDir() || !strings.HasPrefix(entry.Name(), buildingPrefix) {
			return ignoreMissing(err)
		}
		info, err := entry.Info()
		if err == nil && info.ModTime().Before(before) {
			paths = append(paths, path)
		}
		return ignoreMissing(err)
	})
	if err != nil {
		return nil, fmt.Errorf("look for files under construction in %s: %w", r.root, err)
	}
	return paths, nil
}

// ignoreMissing ignores a file that disappeared during the walk: the service may be running.
func ignoreMissing(err error) error {
	if missing(err) {
		return nil
	}
	return err
}

// missing reports whether the error means that nothing exists at the path.
func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR)
}

// isAt reports whether a registered path leads to the template's path for the tenant.
func (r *Reader) isAt(tenantID, registered string) bool {
	return IsAt(registered, r.root, r.names.Path(tenantID))
}

// IsAt reports whether a registered path leads to the template's path below root. A relative path starts in the working
// directory of the service, which may differ from this process's. A path that is registered below another storage
// directory leads there too, if the file exists here: the directory was moved, or is a copy.
func IsAt(registered, root, path string) bool {
	path = filepath.FromSlash(path)
	expected, errE := filepath.Abs(filepath.Join(root, path))
	found, errF := filepath.Abs(registered)
	if errE != nil || errF != nil {
		return false
	}
	below := filepath.Clean(registered)
	if expected == found || !filepath.IsAbs(registered) && endsIn(expected, below) && endsIn(below, path) {
		return true
	}
	a, errA := os.Stat(expected)
	b, errB := os.Stat(found)
	return errA == nil && (endsIn(below, path) || errB == nil && os.SameFile(a, b))
}

// hasOther reports whether the registered path leads to another file than the expected one.
func hasOther(expected, registered string) bool {
	a, errA := os.Stat(expected)
	b, errB := os.Stat(registered)
	return registered != "" && errA == nil && errB == nil && !os.SameFile(a, b)
}

// endsIn reports whether the last components of path are those of end.
func endsIn(path, end string) bool {
	return path == end || strings.HasSuffix(path, string(filepath.Separator)+end)
}
