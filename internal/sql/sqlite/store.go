package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/trace"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/sql/structure"
)

// Config is what a [Store] needs.
type Config struct {
	Root         string // the storage directory
	PathTemplate string // names the file of a tenant, relative to Root; holds {tenant_id}
	Connections  int    // for reading the registry
	CreatedBy    string // of the bootstrap tenant's row
	Log          *slog.Logger
	Now          func() time.Time
	Traces       trace.TracerProvider // of the registry's statements; nil: nothing is traced
	// AllowNew is called before a registry is created where there is none, and before anything else is created. foreign
	// are files of tenants that a service has made, at most [sql.MaxForeign]. [Open] returns its error. nil: it is
	// allowed.
	AllowNew   func(ctx context.Context, foreign []string) error
	RegistryID string            // the id of a registry that is created, a UUID; empty: a random one
	Scripts    *pipeline.Scripts // nil: there is no step run_init_scripts
	Seeds      *pipeline.Seeds   // nil: there is no step load_seed_data
	// Base is [sql.BaseDocEX], or [sql.BaseNone], which needs Scripts; empty: [sql.BaseDocEX].
	Base string
}

// Store is a directory of SQLite files as a [pipeline.Database]. It is safe for concurrent use, also by several
// processes on one machine.
type Store struct {
	Config
	names    sql.PathTemplate
	template *template
	scripts  []script // all initialisation scripts
	pending  []script // those that the template does not include
	drivers  scriptDrivers
	// reference is what the scripts make; nil: none has been rehearsed.
	reference atomic.Pointer[structure.Reference]
	seedPlan  atomic.Pointer[seedPlan]
	// further is the fingerprint of scripts and seed data; empty: neither is configured.
	further string
	readDB  *databasesql.DB
	asyncDB *databasesql.DB // commits reach the operating system, but perhaps not the disk
	syncDB  *databasesql.DB // commits reach the disk
	// statements are those of each database that are parsed once.
	statements map[*databasesql.DB]statements
	leader     chan struct{} // the write lock within this process; SQLite's own lock is polled
	queue      commitQueue   // changes that wait for the leader
	files      filesystem.System
	opened     fs.FileInfo // the registry's file
	// distrusted means that the registry's log may have lost what was written to it: see rewriteLog.
	distrusted atomic.Bool
	// registryID is the registry's id, on which the tags of files depend. [Store.SetStamp] changes it.
	registryID atomic.Pointer[string]
	// checkpoint is the registry's, as last read by [Store.Stamp] or set; nil: neither was done.
	checkpoint atomic.Pointer[sql.Checkpoint]
}

// Check reports every fault of the configuration that can be found without touching the disk, each with the name of its
// variable.
func (c Config) Check() error {
	var faults []error
	if c.Root == "" {
		faults = append(faults, errors.New("DATABASE_URL: sqlite: needs a directory, such as sqlite:storage"))
	}
	faults = append(faults, c.CheckNames())
	if names, err := sql.NewPathTemplate(c.PathTemplate); err == nil {
		path := filepath.Join(c.Root, names.Path(strings.Repeat("x", events.MaxTenantID)))
		if len(path) > sql.MaxDatabasePath || absoluteLength(path) > maxPathname {
			faults = append(faults, fmt.Errorf("DATABASE_URL: paths of tenants can exceed the limit of the registry (%d "+
				"characters) or of SQLite (%d); choose a shorter directory", sql.MaxDatabasePath, maxPathname))
		}
	}
	return errors.Join(faults...)
}

// CheckNames is Check for DATABASE_PATH_TEMPLATE alone.
func (c Config) CheckNames() error {
	var faults []error
	if _, err := sql.NewPathTemplate(c.PathTemplate); err != nil {
		faults = append(faults, fmt.Errorf("DATABASE_PATH_TEMPLATE: %w", err))
	}
	for _, prefix := range []string{rehearsalPrefix, filesystem.TrialPrefix} {
		if strings.Contains(c.PathTemplate, prefix) {
			faults = append(faults, fmt.Errorf("DATABASE_PATH_TEMPLATE: names with %q in them are for the service's own use",
				prefix))
		}
	}
	return errors.Join(faults...)
}

// RegistryFile returns the path of the registry. The configuration must be valid: see Check.
func (c Config) RegistryFile() string {
	names, err := sql.NewPathTemplate(c.PathTemplate)
	if err != nil {
		return ""
	}
	return filepath.Join(c.Root, filepath.FromSlash(names.Path(sql.BootstrapTenant)))
}

// maxPathname is SQLite's limit on an absolute path, including the suffix of its journal. Beyond it, opening fails like
// in an outage.
const maxPathname = 512

// absoluteLength returns the length of the longest absolute path that building the file needs.
func absoluteLength(path string) int {
	if absolute, err := filepath.Abs(path); err == nil {
		path = absolute
	}
	building := buildingName(pipeline.Claim{Key: strings.Repeat("x", 64), Replay: 1e6, Attempt: 1e6})
	return len(filepath.Dir(path)) + 1 + max(len(filepath.Base(path)), len(building)) + len("-journal")
}

// Open opens the registry, creating it if it is missing, and migrates it; it waits for other processes that are
// migrating it. It fails if the registry's file is damaged. Close the store after use.
func Open(ctx context.Context, c Config) (*Store, error) { return openOn(ctx, filesystem.OS, c) }

// openOn is Open with the given operations on files.
func openOn(ctx context.Context, files filesystem.System, c Config) (_ *Store, err error) {
	if err := c.Check(); err != nil {
		return nil, err
	}
	names, err := sql.NewPathTemplate(c.PathTemplate)
	if err != nil {
		return nil, err
	}
	c.Root = filepath.Clean(c.Root)
	s := &Store{Config: c, names: names, leader: make(chan struct{}, 1), files: files}
	if s.template, err = c.newTemplate(ctx); err != nil {
		return nil, fmt.Errorf("build the template of tenants' files: %w", err)
	}
	if err := s.prepareTemplate(ctx); err != nil {
		return nil, fmt.Errorf("run the prepared scripts: %w", err)
	}
	s.further = c.fingerprint()
	if c.RegistryID != "" {
		if s.Config.RegistryID, err = sql.ParseRegistryID(c.RegistryID); err != nil {
			return nil, err
		}
	}
	registry := s.path(sql.BootstrapTenant)
	if err := s.examineRegistry(ctx, registry); err != nil {
		return nil, err
	}
	made, err := s.prepareDirs(ctx, filepath.Dir(registry))
	if err != nil {
		return nil, fmt.Errorf("DATABASE_URL: %w", err)
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("prepare the registry %s: %w", registry, registryFault(err)), s.Close())
		}
	}()
	wal := []string{"journal_mode(WAL)", "foreign_keys(1)"}
	f, err := s.files.CreateFile(registry)
	if err == nil {
		err = f.Close()
	}
	if err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	by := opener(databasesql.Open)
	if c.Traces != nil {
		by = traced(c.Traces)
	}
	if s.syncDB, err = openBy(by, registry, "rw", 1, busyTimeout, append(wal, "synchronous(FULL)")...); err != nil {
		return nil, err
	}
	if s.asyncDB, err = openBy(by, registry, "rw", 1, busyTimeout, append(wal, "synchronous(NORMAL)")...); err != nil {
		return nil, err
	}
	if s.readDB, err = openBy(by, registry, "ro", c.Connections, busyTimeout, "query_only(1)"); err != nil {
		return nil, err
	}
	if err := s.migrate(ctx, registry); err != nil {
		return nil, err
	}
	if err := s.prepareStatements(ctx); err != nil {
		return nil, err
	}
	if err := s.storeLog(ctx); err != nil {
		return nil, err
	}
	if s.opened, err = os.Stat(registry); err != nil {
		return nil, err
	}
	if err := s.syncNames(filepath.Dir(registry), made); err != nil {
		return nil, err
	}
	return s, nil
}

// Pools returns the connection pools of the registry by purpose, for metrics.
func (s *Store) Pools() map[string]*databasesql.DB {
	return map[string]*databasesql.DB{"reads": s.readDB, "notes": s.asyncDB, "commits": s.syncDB}
}

// Close closes the registry.
func (s *Store) Close() error {
	var faults []error
	for _, db := range []*databasesql.DB{s.readDB, s.asyncDB, s.syncDB} {
		if db != nil {
			faults = append(faults, db.Close())
		}
	}
	return errors.Join(faults...)
}

// path returns the file of a tenant.
func (s *Store) path(tenantID string) string {
	return filepath.Join(s.Root, filepath.FromSlash(s.names.Path(tenantID)))
}

// Stat returns the use of the registry's connections: the sum for reading and writing.
func (s *Store) Stat() (all databasesql.DBStats) {
	for _, db := range []*databasesql.DB{s.readDB, s.asyncDB, s.syncDB} {
		one := db.Stats()
		all.MaxOpenConnections += one.MaxOpenConnections
		all.OpenConnections += one.OpenConnections
		all.InUse += one.InUse
		all.Idle += one.Idle
		all.WaitCount += one.WaitCount
		all.WaitDuration += one.WaitDuration
	}
	return all
}

// Strategy returns [events.IsolationDatabase].
func (s *Store) Strategy() string { return events.IsolationDatabase }

// Ping reports whether the registry can be written to.
func (s *Store) Ping(ctx context.Context) error {
	return s.write(ctx, &pendingChange{do: func(ctx context.Context, registry *transaction) error {
		_, err := registry.ExecContext(ctx, q.Ping)
		return err
	}})
}

// inPlace fails if the registry's file is not the one that was opened. A file that was removed or replaced from a
// backup can still be written through the open connections, but no other process would ever see those writes.
func (s *Store) inPlace() error {
	registry := s.path(sql.BootstrapTenant)
	now, err := os.Stat(registry) // opens no descriptor, so no locks are released
	switch {
	case err != nil:
		return &pipeline.Fault{Class: pipeline.Outage, Message: "the registry's file is missing; put it back", Err: err}
	case !os.SameFile(now, s.opened):
		return &pipeline.Fault{
			Class:   pipeline.Outage,
			Message: "the registry " + registry + " is not the file that was opened; restart the service",
		}
	}
	return nil
}

// queryRower is a database, a connection or a transaction.
type queryRower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *databasesql.Row
}

// text reads a text, or "" if there is no row.
func text(ctx context.Context, from queryRower, query string, args ...any) (found string, err error) {
	err = from.QueryRowContext(ctx, query, args...).Scan(&found)
	return found, ignoreNoRows(err)
}

// ignoreNoRows returns nil for the error of a row that does not exist.
func ignoreNoRows(err error) error {
	if errors.Is(err, databasesql.ErrNoRows) {
		return nil
	}
	return err
}

// formatTime formats a time as DocEX reads it: text in UTC.
func formatTime(t time.Time) string { return t.UTC().Format(time.DateTime + ".000000") }
