package sqlite

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/structure"
)

const (
	// rehearsed is the tenant id of a rehearsal. It is reserved: no request can use it.
	rehearsed = "_docex_rehearsal_"
	// rehearsalPrefix begins the names of the directories for rehearsals.
	rehearsalPrefix = ".rehearsal-"
	// rehearsalFile is the name of the file in such a directory.
	rehearsalFile = ".rehearsed.db"
	// rehearsalAge is the age from which such a directory is a leftover of a process that has ended.
	rehearsalAge = time.Hour
)

// Rehearse implements [pipeline.Database]: a finished file in a directory of its own, which is removed, and rows in the
// registry, which are rolled back.
func (s *Store) Rehearse(ctx context.Context) error {
	_, err := s.rehearse(ctx, nil)
	return err
}

// RehearseFurther is Rehearse with scripts and seed data, and with the longest values that a request can have. If there
// are scripts, it is repeated for each plan with other values, so that what depends on them is known. What the scripts
// make becomes the reference.
func (s *Store) RehearseFurther(ctx context.Context) error {
	s.reference.Store(nil)
	plans := s.Scripts.Rehearsed()
	values := longestValues(s.Now(), plans[0])
	made, err := s.rehearse(ctx, values)
	if err != nil || s.Scripts == nil {
		return err
	}
	for _, plan := range plans {
		other, err := s.rehearse(ctx, &pipeline.Values{
			TenantID: "y", DisplayName: "y", CreatedBy: "y", Plan: plan, Now: values.Now.Add(time.Hour),
		})
		if err != nil {
			return err
		}
		made = structure.Common(made, other)
	}
	if err := s.makeReference(ctx, made); err != nil {
		return err
	}
	return s.storeReference(ctx)
}

// longestValues are the longest that a request for the plan can have. Characters of four bytes are the longest.
func longestValues(now time.Time, plan string) *pipeline.Values {
	return &pipeline.Values{
		TenantID: strings.Repeat("x", events.MaxTenantID), DisplayName: strings.Repeat("𝕏", events.MaxDisplayName),
		CreatedBy: strings.Repeat("𝕏", events.MaxCreatedBy), Plan: plan,
		Now: now.UTC().Truncate(time.Microsecond),
	}
}

// RehearseFurther runs scripts and seed data in a tenant's file that is in memory only, outside of the service.
func RehearseFurther(ctx context.Context, c Config) (err error) {
	s := &Store{Config: c, scripts: c.readScripts()}
	if s.template, err = c.newTemplate(ctx); err != nil {
		return fmt.Errorf("build the template of tenants' files: %w", err)
	}
	for _, plan := range c.Scripts.Rehearsed() {
		if err := s.rehearseDraft(ctx, *longestValues(c.Now(), plan)); err != nil {
			return err
		}
	}
	return nil
}

func (s *Store) rehearseDraft(ctx context.Context, v pipeline.Values) error {
	b := &build{Store: s}
	defer b.closeDatabase()
	return b.runFurther(ctx, v)
}

// rehearse returns what the scripts have made.
func (s *Store) rehearse(ctx context.Context, v *pipeline.Values) (made structure.Structure, err error) {
	made, err = s.rehearseFile(ctx, v)
	if err == nil {
		err = s.write(ctx, &pendingChange{durable: true, do: s.rehearseRows})
	}
	if err != nil {
		return made, fmt.Errorf("rehearsal failed: %w", registryFault(err))
	}
	return made, nil
}

// rehearseFile creates a tenant's file, as an attempt does.
func (s *Store) rehearseFile(ctx context.Context, v *pipeline.Values) (made structure.Structure, err error) {
	shared := s.sharedDir()
	if _, err := s.files.MakeDirs(shared); err != nil {
		return made, err
	}
	removeRehearsals(shared)
	dir, err := os.MkdirTemp(shared, rehearsalPrefix)
	if err != nil {
		return made, err
	}
	b := &build{Store: s, claim: rehearsalClaim(), path: filepath.Join(dir, rehearsalFile), rehearses: true}
	defer func() {
		b.closeDatabase()
		if b.temp != nil {
			b.temp.Close() //nolint:errcheck // its content is discarded
		}
		err = errors.Join(err, removeRehearsal(dir))
	}()
	in, err := b.makeFile(ctx, v)
	if err != nil {
		return made, err
	}
	if wrong := in.Deviations(); len(wrong) > 0 {
		return made, errors.New("it differs from the definition: " + strings.Join(wrong, "; "))
	}
	if err := s.placeFile(b.temp.Name(), b.path, ""); err != nil {
		return made, err
	}
	for names := dir; ; names = filepath.Dir(names) {
		if err := s.files.SyncDir(names); err != nil || names == s.Root {
			return b.content, err
		}
	}
}

func (s *Store) sharedDir() string { return sharedDir(s.path) }

// sharedDir returns the deepest directory that is common to the paths of all tenants.
func sharedDir(path func(tenantID string) string) string {
	one, other := filepath.Dir(path("a")), filepath.Dir(path("b"))
	for one != other {
		one, other = filepath.Dir(one), filepath.Dir(other)
	}
	return one
}

// removeRehearsals removes the leftovers of ended processes from a directory.
func removeRehearsals(shared string) {
	entries, err := os.ReadDir(shared)
	if err != nil {
		return
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), rehearsalPrefix) {
			continue
		}
		dir := filepath.Join(shared, entry.Name())
		if info, err := os.Stat(dir); err == nil && time.Since(info.ModTime()) > rehearsalAge {
			removeRehearsal(dir) //nolint:errcheck // the next rehearsal tries again
		}
	}
}

// removeRehearsal removes the files that a rehearsal creates, by name, and then its directory if it is empty.
func removeRehearsal(dir string) error {
	for _, name := range []string{rehearsalFile, buildingName(rehearsalClaim())} {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return os.Remove(dir)
}

func rehearsalClaim() pipeline.Claim {
	return pipeline.Claim{Key: strings.Repeat("0", 64), Attempt: 1}
}

// rehearseRows writes what an attempt writes and rolls it back, but leaves a change whose commit must reach the disk.
func (s *Store) rehearseRows(ctx context.Context, tx *transaction) error {
	now := formatTime(s.Now())
	if _, err := tx.ExecContext(ctx, "SAVEPOINT rehearsal"); err != nil {
		return err
	}
	b := &build{Store: s, claim: rehearsalClaim(), tenant: rehearsed}
	_, err := tx.ExecContext(ctx, q.Claim, b.claim.Key, "rehearsal", rehearsed, rehearsed, 0, 1, now, now, "", "", now)
	if err != nil {
		return err
	}
	err = b.writeRows(ctx, tx, pipeline.Tenant{
		ID: rehearsed, DisplayName: rehearsed, IsolationStrategy: events.IsolationDatabase, CreatedBy: rehearsed,
		CreatedAt: s.Now(), Boundary: pipeline.Boundary{DatabasePath: rehearsed},
	}, pipeline.Outcome{ID: rehearsed, Body: []byte("{}")})
	if err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "ROLLBACK TO rehearsal; RELEASE rehearsal"); err != nil {
		return err
	}
	version, err := text(ctx, tx, "PRAGMA user_version")
	if err == nil {
		_, err = tx.ExecContext(ctx, "PRAGMA user_version = "+version) // the same value, but it is written
	}
	return err
}
