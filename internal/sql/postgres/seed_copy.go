package postgres

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/internal/pipeline"
)

// copyEscapes writes a value in COPY's text format.
var copyEscapes = strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`, "\t", `\t`)

// copySeeds loads the seed data.
func (b *build) copySeeds(ctx context.Context, plan *seedPlan, v pipeline.Values) error {
	if plan.deferred {
		if err := b.exec(ctx, "SET CONSTRAINTS ALL DEFERRED"); err != nil {
			return err
		}
	}
	for i := range plan.copies {
		if err := b.copySeed(ctx, &plan.copies[i], v); err != nil {
			return err
		}
	}
	if !plan.deferred {
		return nil
	}
	sent := time.Now()
	err := b.exec(ctx, "SET CONSTRAINTS ALL IMMEDIATE")
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		return err
	}
	at := slices.IndexFunc(plan.copies, func(c seedCopy) bool { return c.table == server.TableName })
	if at < 0 {
		return err
	}
	return b.seedFault(server, sent, &plan.copies[at])
}

// copySeed loads the rows of one COPY.
func (b *build) copySeed(ctx context.Context, c *seedCopy, v pipeline.Values) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	columns := make([]string, len(c.columns))
	for i, name := range c.columns {
		columns[i] = quote(name)
	}
	statement := fmt.Sprintf("COPY %s (%s) FROM STDIN", quote(b.schema, c.table), strings.Join(columns, ", "))
	sent := time.Now()
	tag, err := b.conn.Conn().PgConn().CopyFrom(ctx, &copyReader{rest: c.text, values: v}, statement)
	switch {
	case err != nil:
		return b.seedFault(err, sent, c)
	case tag.RowsAffected() != int64(len(c.lines)):
		return pipeline.SeedFailed(c.file, 0, "", fmt.Errorf("table %s took %d of %d rows; look for a trigger that discards "+
			"rows", c.table, tag.RowsAffected(), len(c.lines)))
	}
	return nil
}

// copyReader is the text of a COPY for a request. It fills each buffer: the driver sends every one as a message.
type copyReader struct {
	rest   pipeline.Template
	values pipeline.Values
	text   string // of the current part
}

func (r *copyReader) Read(into []byte) (n int, err error) {
	for n < len(into) {
		if r.text == "" {
			if len(r.rest) == 0 {
				return n, io.EOF
			}
			if r.text = r.rest[0].Expand(r.values); r.rest[0].Name != "" {
				r.text = copyEscapes.Replace(r.text)
			}
			r.rest = r.rest[1:]
		}
		copied := copy(into[n:], r.text)
		r.text = r.text[copied:]
		n += copied
	}
	return n, nil
}

// seedFault returns the fault of a COPY. It is the seed data's, unless the server or another session causes it.
func (b *build) seedFault(err error, sent time.Time, c *seedCopy) error {
	failed := classify(stall(err, sent, b.timeouts))
	var server *pgconn.PgError
	var fault *pipeline.Fault
	switch {
	case b.conn.Conn().IsClosed():
		return fmt.Errorf("%s: %w", c.file, endedFault(failed))
	case !errors.As(err, &server), !errors.As(failed, &fault), passesBy(server, fault):
		return fmt.Errorf("%s: %w", c.file, failed)
	}
	line, column := c.position(server)
	words := error(server)
	if column != "" {
		words = fmt.Errorf("column %s: %w", column, words)
	}
	if namesKey[server.Code] && server.Detail != "" {
		words = fmt.Errorf("%w: %s", words, server.Detail)
	}
	return pipeline.SeedFailed(c.file, line, server.Code, words)
}

// namesKey are the SQLSTATEs whose DETAIL is the key of a row, and not the whole row: foreign keys and unique indexes.
var namesKey = map[string]bool{"23503": true, "23505": true}

// passesBy reports whether the same rows may be loaded by the next attempt. A trigger can raise any SQLSTATE: of those
// only deadlocks, serialization failures and locks that were not acquired in time pass.
func passesBy(server *pgconn.PgError, fault *pipeline.Fault) bool {
	switch class := server.Code[:min(2, len(server.Code))]; {
	case class == "40", server.Code == "55P03":
		return true
	case server.Routine == "exec_stmt_raise", class == "55":
		return false
	default:
		return fault.Class == pipeline.Outage || passing[class] || class == "XX"
	}
}

// position returns the line in the file and the column that an error of COPY names in its CONTEXT. The words of the
// CONTEXT depend on the server's language, not their order. 0: it names no row.
func (c *seedCopy) position(server *pgconn.PgError) (line int, column string) {
	var names []string
	for _, name := range c.columns {
		names = append(names, regexp.QuoteMeta(name))
	}
	found := regexp.MustCompile(`(?m)^COPY ` + regexp.QuoteMeta(c.table) + `, \D+ (\d+)(?:, \S+ (` +
		strings.Join(names, "|") + `)(?:[:,]|$))?`).FindStringSubmatch(server.Where)
	if found == nil {
		return 0, server.ColumnName
	}
	column = cmp.Or(found[2], server.ColumnName)
	if n, err := strconv.Atoi(found[1]); err == nil && n >= 1 && n <= len(c.lines) {
		line = c.lines[n-1]
	}
	return line, column
}
