package database

import (
	"context"

	"example.com/tenant-provisioner/internal/sql"
)

// Comparable is a database whose ledger and registry can be compared with the streams.
type Comparable interface {
	// Stamp reads the registry's id, whether the streams have it, and the checkpoint.
	Stamp(ctx context.Context) (sql.Stamp, error)
	// Entry returns the ledger's entry of the request with that key, or [sql.ErrNotFound].
	Entry(ctx context.Context, key string) (sql.LedgerEntry, error)
	// IsAccepted reports whether an operator has accepted that the ledger lacks the outcome with that id.
	IsAccepted(ctx context.Context, outcomeID string) (bool, error)
}

// Recovery writes what the streams still know of a lost part of the database.
type Recovery interface {
	Comparable
	// SetStamp records that the streams carry the id, which replaces the registry's, and that this database is the one
	// that they belong to.
	SetStamp(ctx context.Context, id string) error
	// SetCheckpoint moves the registry's checkpoint, if it is still the one that it is moved from. A claim fails as in an
	// outage if the checkpoint is earlier than the one last read or set: the database was restored in between.
	SetCheckpoint(ctx context.Context, from, to sql.Checkpoint) (moved bool, err error)
	// Restore writes ledger row and registry row of a decided request in one commit, after it has compared the boundary
	// with the definition. It changes nothing and returns an error that wraps [sql.ErrNoBoundary] or
	// [sql.ErrOtherRequest], or a permanent fault, if the request cannot be restored. A ledger row that is decided at the
	// same replay by the same outcome, or at a higher replay, stays as it is.
	Restore(ctx context.Context, r sql.Restoration) error
	// Accept records outcomes that cannot be restored. Those that are recorded already stay.
	Accept(ctx context.Context, outcomes []sql.AcceptedOutcome) error
}

// ComparableReader reads, without writing, what [Recovery] restores.
type ComparableReader interface {
	Comparable
	// Entries returns at most limit entries of the ledger with a key above after, in the order of their keys.
	Entries(ctx context.Context, after string, limit int) ([]sql.LedgerEntry, error)
	// Recent returns at most limit entries of the ledger: first those that are running, then the others, each from the one
	// that changed last. It reads the whole ledger.
	Recent(ctx context.Context, limit int) ([]sql.LedgerEntry, error)
	// Boundaries returns the names of all boundaries that the template of names can have given, without the registry's.
	Boundaries(ctx context.Context) ([]string, error)
}
