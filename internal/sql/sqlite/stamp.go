package sqlite

import (
	"context"
	"crypto/sha256"
	databasesql "database/sql"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql"
)

// RegistryID identifies the registry, as last read. A copy of the registry has the same id.
func (s *Store) RegistryID() string {
	if id := s.registryID.Load(); id != nil {
		return *id
	}
	return ""
}

func (s *Store) readStamp(ctx context.Context) error {
	var id string
	err := s.readDB.QueryRowContext(ctx, q.Stamp).Scan(&id)
	if errors.Is(err, databasesql.ErrNoRows) {
		return errors.New("the registry has lost its id; if it is not in a backup, create another: " +
			"INSERT INTO registry_stamp (registry_id) VALUES ('a UUID')")
	}
	s.registryID.Store(&id)
	return err
}

// SetStamp records that the streams carry the id, which replaces the registry's. Files of registered tenants do not
// depend on it. An unregistered file that an interrupted attempt has left is no longer recognized if the id changes: a
// redelivery of its request fails, and touches nothing.
//
// Other processes use the former id until they call [Store.Stamp].
func (s *Store) SetStamp(ctx context.Context, id string) error {
	id, err := sql.ParseRegistryID(id)
	if err != nil {
		return err
	}
	err = s.write(ctx, &pendingChange{durable: true, do: func(ctx context.Context, tx *transaction) error {
		_, err := tx.ExecContext(ctx, q.SetStamp, id)
		return err
	}})
	if err != nil {
		return fmt.Errorf("set the registry's id: %w", err)
	}
	s.registryID.Store(&id)
	return nil
}

// ownerTag returns the application_id of files that this registry creates for the request with that key: 31 bits, not
// zero. It depends on the registry's id because two services may both have a request with that key, and on scripts and
// seed data because a file that has the tag is used as it is.
func (s *Store) ownerTag(key string) uint32 {
	if s.further == "" {
		return s.bareTag(key)
	}
	return tagOf(s.RegistryID() + "\n" + key + "\n" + s.further)
}

// bareTag is ownerTag without scripts and seed data.
func (s *Store) bareTag(key string) uint32 { return tagOf(s.RegistryID() + "\n" + key) }

func tagOf(identity string) uint32 {
	sum := sha256.Sum256([]byte(identity))
	return binary.BigEndian.Uint32(sum[:])&0x7fffffff | 1
}

// fingerprint identifies the scripts and seed data; empty: neither is configured.
func (c Config) fingerprint() string {
	var b strings.Builder
	if c.Scripts != nil {
		b.WriteString("scripts\n")
		for _, f := range c.Scripts.Files {
			fmt.Fprintf(&b, "%s %s\n", f.SHA256, f.Name)
		}
	}
	if c.Seeds != nil {
		fmt.Fprintf(&b, "seeds %s\n", c.Seeds.Fingerprint())
	}
	return b.String()
}

// earlierTag returns the tag of the earlier version, which had no registry id and used only the key.
func earlierTag(key string) uint32 {
	bits, err := hex.DecodeString(key[:8])
	if err != nil {
		return 1
	}
	return binary.BigEndian.Uint32(bits)&0x7fffffff | 1
}

// isOwn reports whether a file with this tag was created for the attempt's request. A tag of the earlier version may
// be another registry's, for a request with the same key. It counts only if an earlier attempt can have left it.
func (b *build) isOwn(tag uint32) bool {
	return tag == b.ownerTag(b.claim.Key) || tag == b.bareTag(b.claim.Key) ||
		b.claim.Attempt > 1 && tag == earlierTag(b.claim.Key)
}

// isWhole reports whether the file has everything that scripts and seed data of now make for this request: its tag
// depends on them, and is written in one transaction with the rest, or to a file that is placed when it is finished.
func (b *build) isWhole(ctx context.Context, from queryRower) (bool, error) {
	if !b.hasFurther() {
		return false, nil
	}
	tag, err := readTag(ctx, from)
	return tag == b.ownerTag(b.claim.Key), err
}

// applicationIDSQL reads the tag of a file or, with a value appended, writes it.
const applicationIDSQL = "PRAGMA application_id"

func readTag(ctx context.Context, from queryRower) (uint32, error) {
	var id int64 // files of other programs may have a negative one
	err := from.QueryRowContext(ctx, applicationIDSQL).Scan(&id)
	return uint32(id), err //nolint:gosec // 32 bits of the header
}

// hasOwnTag reports whether the file exists and was created for the attempt's request.
func (b *build) hasOwnTag(ctx context.Context) bool {
	tag, ok := fileTag(ctx, b.path)
	return ok && b.isOwn(tag)
}

// fileTag reads the tag of a file. ok is false if there is no file, or no database in it.
func fileTag(ctx context.Context, path string) (tag uint32, ok bool) {
	if info, err := os.Lstat(path); err != nil || !info.Mode().IsRegular() { // opening a pipe would block
		return 0, false
	}
	// Immutable: otherwise SQLite would create files next to a file in WAL mode. The tag does not change.
	db, err := open(path, immutable, busyTimeout)
	if err != nil {
		return 0, false
	}
	defer db.Close() //nolint:errcheck // only read
	tag, err = readTag(ctx, db)
	return tag, err == nil
}

// takeOver fails if another registry has created the file: it may be registered there. It sets this request's tag on a
// file without a tag, which DocEX or an operator has created, and on a file with a tag of the earlier version. With
// scripts or seed data it sets it on every file that it takes over, which they are to fill.
func (b *build) takeOver(ctx context.Context) error {
	tag, err := readTag(ctx, b.tx)
	if err != nil {
		return err
	}
	if tag == b.ownerTag(b.claim.Key) {
		b.whole = b.hasFurther()
		return nil
	}
	if tag != 0 && !b.isOwn(tag) {
		stamped, known, err := b.madeHere(ctx, tag)
		switch {
		case err != nil:
			return registryFault(err)
		case !known:
			return pipeline.Permanentf(events.CauseBoundaryNotEmpty, "%s belongs to another service, was made for a request "+
				"that the ledger no longer has, or was filled by scripts or seed data that are not those of this request; nothing "+
				"was touched: give each service a DATABASE_PATH_TEMPLATE or a storage directory of its own, choose another id or, "+
				"if no service has the file, move it away", b.path)
		case stamped && !b.hasFurther():
			return nil
		}
	}
	_, err = b.tx.ExecContext(ctx, fmt.Sprintf("%s = %d", applicationIDSQL, b.ownerTag(b.claim.Key)))
	return err
}

// madeHere reports whether this registry created the file with this tag for another request for the tenant (known),
// and whether the tag depends on the registry's id (stamped).
func (b *build) madeHere(ctx context.Context, tag uint32) (stamped, known bool, err error) {
	type request struct {
		key         string
		provisioned bool
	}
	all, err := collect(ctx, b.readDB, q.RequestsOf, func(row scanner) (r request, err error) {
		err = row.Scan(&r.key, &r.provisioned)
		return r, err
	}, b.tenant)
	for _, r := range all {
		stamped = stamped || tag == b.bareTag(r.key)
		known = known || stamped || r.provisioned && tag == earlierTag(r.key)
	}
	return stamped, known, err
}

// requireFree fails if the file, in which the registry is to be created, is that of another service's tenant.
func requireFree(ctx context.Context, registry string) (err error) {
	db, err := open(registry, "rw", busyTimeout, "query_only(1)") // after a crash only a writer can recover it
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	tag, err := readTag(ctx, db)
	if err != nil || tag == 0 {
		return err
	}
	return pipeline.Permanentf(events.CauseBoundaryNotEmpty,
		"the file belongs to a tenant of another service; nothing was "+
			"touched: choose another DATABASE_PATH_TEMPLATE or storage directory")
}
