package recovery

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/nats-io/nats.go"
	"golang.org/x/sync/errgroup"

	"example.com/tenant-provisioner/internal/config"
	"example.com/tenant-provisioner/internal/crash"
	"example.com/tenant-provisioner/internal/database"
	"example.com/tenant-provisioner/internal/filesystem"
	"example.com/tenant-provisioner/internal/natsconn"
	"example.com/tenant-provisioner/internal/natsserver"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

const (
	// natsDir is the embedded server's directory in a backup.
	natsDir = "nats"
	// partialSuffix is appended to the name of a backup that is not complete.
	partialSuffix = ".partial"
)

// Backup copies an installation with SQLite, while its service runs or not, into a directory from which a service can
// run: the storage directory of DATABASE_URL, and in it nats, the directory of NATS_EMBEDDED_DIR. It copies the three
// streams of the contract and the registered tenants' files, and nothing else.
type Backup struct {
	Config config.Config
	Log    *slog.Logger
	// Dir is made by the backup. It must not exist, or be an empty directory.
	Dir string
	// DatabaseOnly leaves out the streams, which are on the servers of NATS_URL.
	DatabaseOnly bool
	// Counted is called with the number of tenants before their files are copied, and Copied after each of them, also
	// concurrently.
	Counted func(tenants int)
	Copied  func()
}

// BackupReport is what a complete backup contains.
type BackupReport struct {
	Streams []CopiedStream
	Tenants int           // in the copied registry
	Faults  []TenantFault // tenants without a file in the copy, in the order of their ids
}

// TenantFault is a registered tenant whose file could not be copied.
type TenantFault struct {
	TenantID string
	Err      error
}

// Run makes the backup. After an error there is no directory of that name. If single tenants' files could not be
// copied, it has all the others, and the report names them.
func (b *Backup) Run(ctx context.Context) (report BackupReport, err error) {
	if err := b.check(); err != nil {
		return report, err
	}
	source, err := database.OpenReader(ctx, b.Config)
	if err != nil {
		return report, err
	}
	defer func() { err = errors.Join(err, source.Close()) }()
	files, ok := source.(database.Copier)
	if !ok {
		return report, fmt.Errorf("%T cannot copy files", source)
	}
	partial, err := b.begin()
	if err != nil {
		return report, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(partial))
		}
	}()
	if !b.DatabaseOnly {
		if report.Streams, err = b.copyStreams(ctx, filepath.Join(partial, natsDir)); err != nil {
			return report, err
		}
	}
	if err := files.CopyRegistry(ctx, partial); err != nil {
		return report, err
	}
	crash.Point("registry copied", "")
	if err := b.copyTenants(ctx, files, partial, &report); err != nil {
		return report, err
	}
	return report, b.finish(partial)
}

// check refuses what this command cannot copy, and names the commands that can.
func (b *Backup) check() error {
	const streams = "nats stream backup TENANT_REQUESTS DIR/requests, then TENANT_EVENTS DIR/events, then " +
		"TENANT_DEAD_LETTERS DIR/dead-letters"
	switch {
	case b.Config.OnPostgres():
		return config.NewError(errors.New("DATABASE_URL: this command copies SQLite, and this is PostgreSQL; copy the " +
			"streams first, with: " + streams + "; then the database, with: pg_dump"))
	case b.Config.NATSURL != "" && !b.DatabaseOnly:
		return config.NewError(errors.New("NATS_URL: this command does not copy the streams of other servers; copy them " +
			"first, with: " + streams + "; then the database, with: consumer backup --database-only DIR"))
	case b.Config.NATSURL == "" && b.DatabaseOnly:
		return config.NewError(errors.New("NATS_URL: with the embedded server, a backup without its streams could not be " +
			"restored; run: consumer backup DIR"))
	}
	return nil
}

// begin makes the directory under the name of an incomplete backup, beside the final one.
func (b *Backup) begin() (partial string, err error) {
	dir := filepath.Clean(b.Dir)
	partial = dir + partialSuffix
	switch info, err := os.Lstat(dir); {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case !info.IsDir():
		return "", fmt.Errorf("%s exists; choose another name", dir)
	default:
		if err := os.Remove(dir); err != nil { // it succeeds if the directory is empty
			return "", fmt.Errorf("%s is not empty, or cannot be replaced; choose another name, or one below it: %w", dir, err)
		}
	}
	if _, err := os.Stat(filepath.Dir(dir)); err != nil {
		return "", err
	}
	made, err := filesystem.OS.MakeDirs(partial)
	if err != nil {
		return "", err
	}
	if !slices.Contains(made, partial) {
		return "", fmt.Errorf("%s exists: another backup is running, or was killed; if none is running, remove it with: "+
			"rm -r %s", partial, partial)
	}
	return partial, nil
}

// copyStreams copies the streams of the embedded server, which runs in the service or, if that does not run, here.
func (b *Backup) copyStreams(ctx context.Context, dir string) (copied []CopiedStream, err error) {
	source, end, err := b.connect(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, end()) }()
	err = natsserver.Build(ctx, dir, b.Log, func(ctx context.Context, server nats.InProcessConnProvider) error {
		target, err := natsconn.Connect(ctx, b.Config, server, b.Log, false)
		if err != nil {
			return err
		}
		defer target.Close(ctx)
		copied, err = copyStreams(ctx, source.JetStream(), target.JetStream())
		return err
	})
	return copied, err
}

// connect connects to the embedded server of the configuration. Unlike [OpenStreams] it tries the directory before the
// address, which a server with another directory may have. end closes the connection.
func (b *Backup) connect(ctx context.Context) (link *natsconn.Link, end func() error, err error) {
	dir := b.Config.EmbeddedDir
	if _, err := os.Stat(filepath.Join(dir, "jetstream")); err != nil {
		return nil, nil, fmt.Errorf("NATS_EMBEDDED_DIR: %s has no streams; set the variables of the service, and use its "+
			"working directory: %w", dir, err)
	}
	link, end, err = startEmbedded(ctx, b.Config, b.Log)
	if !errors.Is(err, natsserver.ErrInUse) {
		return link, end, err
	}
	if link, err = natsconn.Dial(ctx, b.Config, b.Log); err != nil {
		return nil, nil, err
	}
	return link, func() error {
		link.Close(ctx)
		return nil
	}, nil
}

// copyTenants copies the files of the tenants that the copied registry has.
func (b *Backup) copyTenants(ctx context.Context, files database.Copier, to string, report *BackupReport) (err error) {
	copied := b.Config
	copied.DatabaseURL = "sqlite:" + to
	registry, err := database.OpenReader(ctx, copied)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, registry.Close()) }()
	total, err := registry.Count(ctx)
	if err != nil {
		return err
	}
	report.Tenants = total - 1 // without the registry's own row
	b.Counted(report.Tenants)
	for page, err := range database.Pages(ctx, registry) {
		if err != nil {
			return err
		}
		if err := b.copyPage(ctx, files, page, to, report); err != nil {
			return err
		}
	}
	return nil
}

// copyPage copies the files of a page of the registry, several at a time. An outage, such as a full disk, ends it.
func (b *Backup) copyPage(
	ctx context.Context, files database.Copier, page []sql.TenantRow, to string, report *BackupReport,
) error {
	faults := make([]error, len(page))
	workers, working := errgroup.WithContext(ctx)
	workers.SetLimit(b.Config.Concurrency)
	for i, row := range page {
		if row.ID == sql.BootstrapTenant { // its file is the registry's
			continue
		}
		workers.Go(func() error {
			if err := working.Err(); err != nil {
				return err
			}
			err := files.CopyTenant(working, row, to)
			if working.Err() != nil {
				return working.Err()
			}
			if pipeline.IsOutage(err) {
				return fmt.Errorf("tenant %q: %w", row.ID, err)
			}
			faults[i] = err
			b.Copied()
			crash.Point("tenant copied", row.ID)
			return nil
		})
	}
	if err := workers.Wait(); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	for i, err := range faults {
		if err != nil {
			report.Faults = append(report.Faults, TenantFault{page[i].ID, err})
		}
	}
	return nil
}

// finish makes the backup durable and gives it its name.
func (b *Backup) finish(partial string) error {
	if err := filesystem.OS.SyncAll(partial); err != nil {
		return err
	}
	crash.Point("backup synced", "")
	dir := filepath.Clean(b.Dir)
	if err := os.Rename(partial, dir); err != nil {
		return err
	}
	crash.Point("backup in place", "")
	return filesystem.OS.SyncDir(filepath.Dir(dir))
}
