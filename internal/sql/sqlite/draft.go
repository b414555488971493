package sqlite

import (
	"context"
	"errors"
	"fmt"
	"net/url"

	native "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// pageSize is that of tenants' files, in bytes.
const pageSize = 4096

// maxDraft is the largest file, in bytes, that scripts and seed data may make: it is in memory while they run.
const maxDraft = 64 << 20

// draftLimits bound what one statement can take. The deadline cannot interrupt a function within a row.
var draftLimits = map[int]int{
	sqlite3.SQLITE_LIMIT_ATTACHED: 0,
	sqlite3.SQLITE_LIMIT_LENGTH:   maxDraft, // of a value, a row and a statement, in bytes
	// The time that LIKE and GLOB take grows with the product of both lengths.
	sqlite3.SQLITE_LIMIT_LIKE_PATTERN_LENGTH: 1000,
}

// furtherPragmas are those of connections on which scripts and seed data run. Without trusted_schema a view or trigger
// cannot call functions that only this program has. Temporary data are in memory, so that a full disk is never a
// script's fault.
var furtherPragmas = []string{"foreign_keys(1)", "trusted_schema(0)", "temp_store(MEMORY)"}

// hasFurther reports whether scripts or seed data follow the validation.
func (c Config) hasFurther() bool { return c.Scripts != nil || c.Seeds != nil }

// openDraft opens a transaction for scripts and seed data: on a copy of the file under construction, in memory. A file
// that existed is open already. No other process can see the copy, and nothing of it is on the disk before it is
// finished. To open the file itself would also need the lock that shows that the attempt is alive.
func (b *build) openDraft(ctx context.Context) (err error) {
	if b.tx != nil {
		return nil
	}
	if err := b.openBy(ctx, "file:draft?"+url.Values{
		"vfs": {"memdb"}, "_txlock": {"immediate"}, "_pragma": furtherPragmas,
	}.Encode()); err != nil {
		return err
	}
	err = b.conn.Raw(func(c any) error {
		to, ok := c.(interface{ Deserialize(content []byte) error })
		if !ok {
			return errors.New("the driver cannot deserialize")
		}
		return to.Deserialize(b.template.content)
	})
	if err != nil {
		return err
	}
	if _, err := b.conn.ExecContext(ctx, fmt.Sprintf("PRAGMA max_page_count = %d", maxDraft/pageSize)); err != nil {
		return err
	}
	b.tx, err = b.conn.BeginTx(ctx, nil)
	return err
}

// openBy opens the connection on which scripts and seed data run.
func (b *build) openBy(ctx context.Context, name string) (err error) {
	if b.driver, err = b.drivers.take(); err != nil {
		return err
	}
	b.db = b.driver.open(name)
	if b.conn, err = b.db.Conn(ctx); err != nil {
		return err
	}
	for id, most := range draftLimits {
		if _, err := native.Limit(b.conn, id, most); err != nil {
			return err
		}
	}
	return nil
}

// finishDraft commits the draft, and returns the content of its file.
func (b *build) finishDraft() (content []byte, err error) {
	if err := b.tx.Commit(); err != nil {
		return nil, err
	}
	err = b.conn.Raw(func(c any) (err error) {
		content, err = serialize(c)
		return err
	})
	return content, err
}

// writeDraft writes what scripts and seed data made to the file under construction, and reads it again.
func (b *build) writeDraft() error {
	content, err := b.finishDraft()
	if err != nil {
		return err
	}
	draft, tag := &template{content: content}, b.ownerTag(b.claim.Key)
	if err := draft.write(b.temp, tag); err != nil {
		return err
	}
	info, err := b.temp.Stat()
	if err != nil {
		return err
	}
	same, err := draft.isIn(b.temp, info.Size(), tag)
	if err == nil && !same {
		err = errors.New("it differs from what was written to it")
	}
	return err
}
