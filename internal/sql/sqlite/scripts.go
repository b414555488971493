package sqlite

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"

	native "modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// readScripts returns the initialisation scripts in statements.
func (c Config) readScripts() (all []script) {
	if c.Scripts == nil {
		return nil
	}
	for _, f := range c.Scripts.Files {
		all = append(all, script{f.Name, f.Prepare, splitScript(f.Text)})
	}
	return all
}

// prepareTemplate runs the scripts that can be part of the template: those marked as prepare, up to the first that is
// not, so that the order of names holds for every tenant. The others remain in s.pending. A template that would differ
// from the definition, such as by one more column, includes no script.
func (s *Store) prepareTemplate(ctx context.Context) error {
	s.scripts = s.readScripts()
	s.pending = s.scripts
	for len(s.pending) > 0 && s.pending[0].prepare {
		s.pending = s.pending[1:]
	}
	prepared := s.scripts[:len(s.scripts)-len(s.pending)]
	if len(prepared) == 0 {
		return nil
	}
	b := &build{Store: s}
	defer b.closeDatabase()
	if err := b.openDraft(ctx); err != nil {
		return classify(err)
	}
	if err := b.run(ctx, prepared, pipeline.Values{}); err != nil {
		return err
	}
	found, err := b.inspectPrepared(ctx)
	if err != nil {
		return classify(err)
	}
	if len(found.Deviations()) > 0 { // validate_schema comes before the scripts, and accepts no deviation
		s.pending = s.scripts
		return nil
	}
	if err := b.CheckConfined(ctx); err != nil {
		return err
	}
	content, err := b.finishDraft()
	if err != nil {
		return classify(err)
	}
	s.template = &template{content, found}
	return nil
}

// inspectPrepared inspects what scripts have prepared. Without the built-in definition it only counts: a rehearsal
// compares what all scripts make.
func (b *build) inspectPrepared(ctx context.Context) (in pipeline.Inspection, err error) {
	if !b.own() {
		return inspect(ctx, b.tx)
	}
	made, err := readStructure(ctx, b.tx)
	in.Tables, in.Indexes = made.Count()
	return in, err
}

// RunScripts implements [pipeline.Build]. The template's content includes scripts that depend on no value of a request.
// A file that this request finished before a crash includes all of them. What the others have made is compared with the
// reference.
func (b *build) RunScripts(ctx context.Context, v pipeline.Values) (ran bool, err error) {
	scripts := b.scripts
	if b.temp != nil {
		scripts = b.pending
	}
	if ran = !b.whole && len(scripts) > 0; ran {
		if err := b.openDraft(ctx); err != nil {
			return false, fmt.Errorf("open the draft of %s: %w", b.path, classify(err))
		}
		if err := b.run(ctx, scripts, v); err != nil {
			return false, err
		}
	}
	if b.Scripts == nil {
		return false, nil
	}
	return ran, b.checkReference(ctx)
}

var errScriptTimeout = errors.New("the scripts take longer than INIT_SCRIPT_TIMEOUT allows; " +
	"find what takes long in the statement, or raise it")

// run runs scripts in the open transaction.
func (b *build) run(ctx context.Context, scripts []script, v pipeline.Values) (err error) {
	limited, cancel := context.WithTimeoutCause(ctx, b.Scripts.Timeout, errScriptTimeout)
	defer cancel()
	if b.settings, err = text(ctx, b.tx, q.FileSettings); err != nil {
		return classify(err)
	}
	var g guard
	if err := b.authorize(g.decide); err != nil {
		return classify(err)
	}
	defer func() {
		if unguarded := b.authorize(nil); err == nil {
			err = classify(unguarded)
		}
	}()
	for _, s := range scripts {
		b.driver.values = &v
		if s.prepare {
			b.driver.values = nil
		}
		for _, one := range s.statements {
			g.denied = ""
			if err := b.runStatement(limited, &g, one); err != nil {
				return b.scriptFault(ctx, limited, s, one, err)
			}
		}
	}
	return nil
}

// authorize sets the authorizer of the connection. nil: everything is allowed.
func (b *build) authorize(decide native.AuthorizerFn) error {
	return b.conn.Raw(func(c any) error {
		with, ok := c.(native.AuthorizerRegisterer)
		if !ok {
			return errors.New("the driver has no authorizer")
		}
		return with.RegisterAuthorizer(decide)
	})
}

// runStatement runs a statement of a script. Its errors are the script's, unless [build.scriptFault] knows better.
func (b *build) runStatement(ctx context.Context, g *guard, one statement) error {
	if strings.Contains(one.text, "\x00") { // SQLite would read up to it
		return errors.New("there is a NUL character in it; remove it")
	}
	_, err := b.tx.ExecContext(ctx, one.text)
	switch {
	case g.denied != "" && err != nil:
		return fmt.Errorf("%s: %w", g.denied, err)
	case g.denied != "":
		return errors.New(g.denied)
	case err != nil && strings.HasPrefix(one.text, "."):
		return fmt.Errorf("commands of the sqlite3 shell do not work here, only SQL; remove it: %w", err)
	case err != nil || !strings.Contains(strings.ToLower(one.text), valuesFunction):
		return err
	}
	return b.refuseValuesInSchema(ctx)
}

// refuseValuesInSchema fails if an object of the tenant uses the values' function: other programs do not have it.
func (b *build) refuseValuesInSchema(ctx context.Context) error {
	type object struct{ kind, name, text string }
	objects, err := collect(ctx, b.tx, q.Definitions, func(row scanner) (o object, err error) {
		err = row.Scan(&o.kind, &o.name, &o.text)
		return o, err
	})
	for _, o := range objects {
		if calls(o.text, valuesFunction) {
			return fmt.Errorf("the %s %s has provisioner() in its definition, which other programs do not have; "+
				"insert the value as a row", o.kind, o.name)
		}
	}
	return err
}

// scriptFault returns the fault for the error of a statement. limited is ctx with the deadline of the scripts.
func (b *build) scriptFault(ctx, limited context.Context, s script, one statement, err error) error {
	code := primary(err)
	switch {
	case ctx.Err() != nil: // the attempt was cancelled, not the script
		return context.Cause(ctx)
	case limited.Err() != nil:
		code, err = 0, fmt.Errorf("%w (%s)", errScriptTimeout, b.Scripts.Timeout)
	case isNoScriptFault(code, b.temp == nil):
		return fmt.Errorf("%s, line %d: %w", s.name, one.line, classify(err))
	case code == sqlite3.SQLITE_FULL:
		err = fmt.Errorf("the scripts make a file of more than %d MiB; load such data once the tenant is in use: %w",
			maxDraft>>20, err)
	}
	native := ""
	if code != 0 {
		native = "SQLITE " + strconv.Itoa(code)
	}
	return pipeline.ScriptFailed(s.name, one.line, native, err)
}

// isNoScriptFault reports whether a code says something of locks, memory or the disk. Drafts are not on the disk.
func isNoScriptFault(code int, onDisk bool) bool {
	switch code {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_INTERRUPT:
		return true
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_PERM,
		sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB:
		return onDisk
	}
	return false
}

// CheckConfined implements [pipeline.Build]. What a script must not do was denied already, so this finds what the rules
// have missed, and rows that violate a foreign key.
func (b *build) CheckConfined(ctx context.Context) error {
	if b.settings == "" { // no script has run
		return nil
	}
	settings, err := text(ctx, b.tx, q.FileSettings)
	if err != nil {
		return classify(err)
	}
	outside, err := text(ctx, b.tx, q.OutsideObject)
	if err != nil {
		return classify(err)
	}
	switch {
	case outside != "":
		return pipeline.Permanentf(events.CauseInitScriptFailed, "the scripts leave %s, which is not in the tenant's file; "+
			"remove what makes it", outside)
	case settings != b.settings:
		return pipeline.Permanentf(events.CauseInitScriptFailed, "the scripts change settings of the tenant's file from %s "+
			"to %s; remove what does", b.settings, settings)
	}
	violation, err := violatedKey(ctx, b.tx)
	if err == nil && violation != "" {
		err = pipeline.Permanentf(events.CauseInitScriptFailed, "%s; insert that row, or correct the value", violation)
	}
	return classify(err)
}

// violatedKey describes a row that violates a foreign key; empty: all keys hold.
func violatedKey(ctx context.Context, from queryRower) (string, error) {
	var table, parent string
	var row databasesql.NullInt64
	err := from.QueryRowContext(ctx, q.ViolatedKey).Scan(&table, &row, &parent)
	if err != nil {
		return "", ignoreNoRows(err)
	}
	which := "a row"
	if row.Valid { // tables WITHOUT ROWID have no number
		which = fmt.Sprintf("row %d", row.Int64)
	}
	return fmt.Sprintf("%s of table %s refers to a row that %s does not have", which, table, parent), nil
}
