package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"strings"

	"example.com/tenant-provisioner/internal/pipeline"
)

// template is a finished tenant's file. It is made once, by the same statements that complete a file that was
// there, and judged by the same comparison: to create 11 tables and 18 indexes takes several times as long as to
// write down the pages that come of it.
type template struct {
	content []byte
	schema  string // what SQLite knows of the structure
	found   pipeline.Inspection
}

// applicationID is where the header of a file has the number of that name:
// https://www.sqlite.org/fileformat.html#application_id
const applicationID = 68

// newTemplate makes a tenant's file in memory.
func newTemplate(ctx context.Context) (_ *template, err error) {
	db, err := databasesql.Open("sqlite", "file:template?vfs=memdb")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, conn.Close()) }()
	if _, err := conn.ExecContext(ctx, "BEGIN;"+tablesSQL+indexesSQL+"COMMIT"); err != nil {
		return nil, err
	}
	t := &template{}
	if t.found, err = inspect(ctx, conn); err != nil {
		return nil, err
	}
	if wrong := t.found.Faults(); len(wrong) > 0 {
		return nil, fmt.Errorf("a tenant's file differs from the definition: %s", strings.Join(wrong, "; "))
	}
	if t.schema, err = text(ctx, conn, schemaSQL); err != nil {
		return nil, err
	}
	err = conn.Raw(func(c any) (err error) {
		serializer, ok := c.(interface{ Serialize() ([]byte, error) })
		if !ok {
			return errors.New("the driver cannot serialize")
		}
		t.content, err = serializer.Serialize()
		return err
	})
	return t, err
}

// write writes the content, with the request's mark.
func (t *template) write(to io.WriterAt, c pipeline.Claim) error {
	if _, err := to.WriteAt(t.content, 0); err != nil {
		return err
	}
	_, err := to.WriteAt(binary.BigEndian.AppendUint32(nil, mark(c)), applicationID)
	return err
}

// inspect is what inspect finds in a file that should be the template's. Everything that it asks for, SQLite
// derives from the rows of sqlite_schema: where they are the template's, so is the answer, and where they are
// not, it is asked for.
func (t *template) inspect(ctx context.Context, tx *databasesql.Tx) (pipeline.Inspection, error) {
	schema, err := text(ctx, tx, schemaSQL)
	if err == nil && schema == t.schema {
		return t.found, nil
	}
	if err != nil {
		return pipeline.Inspection{}, err
	}
	return inspect(ctx, tx)
}
