package postgres

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/pgscript"
)

// script is an initialisation script, split into statements.
type script struct {
	pipeline.Script
	statements []pgscript.Statement
}

// parseScript splits a script into statements, and judges them. Tests replace it to run what the grammar refuses.
var parseScript = pgscript.Parse

// scripts are the scripts of a [Store]; nil: it runs no scripts.
type scripts struct {
	files      []script
	timeout    time.Duration // for all scripts of a request
	catalogues []catalogueOf // those that need a look
	confined   knownFootprints
	prepared   atomic.Pointer[preparedResult] // nil: no boundary has been prepared or rehearsed
}

func parseScripts(all *pipeline.Scripts) (*scripts, error) {
	if all == nil {
		return nil, nil
	}
	parsed := &scripts{timeout: all.Timeout}
	var faults []error
	for _, file := range all.Files {
		statements, found := parseScript(file)
		for _, one := range found { // the log has a line for each
			faults = append(faults, fmt.Errorf("INIT_SCRIPTS: %w", one))
		}
		parsed.files = append(parsed.files, script{file, statements})
	}
	debug.FreeOSMemory() // the grammar takes 250 MB while it loads, and then 20
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return parsed, nil
}

// selected returns the scripts that run when a boundary is prepared, or the others.
func (s *scripts) selected(prepare bool) (files []script) {
	if s == nil {
		return nil
	}
	for _, file := range s.files {
		if file.Prepare == prepare {
			files = append(files, file)
		}
	}
	return files
}

// RunScripts implements [pipeline.Build] in two round trips, and compares what the scripts have made with the
// reference. A boundary from the pool has those that are run when it is prepared.
func (b *build) RunScripts(ctx context.Context, v pipeline.Values) (ran bool, err error) {
	if b.scripts == nil {
		return false, nil
	}
	files := b.scripts.files
	if b.taken != "" {
		files = b.scripts.selected(false)
	}
	if err := b.runScripts(ctx, files, &v); err != nil {
		return false, err
	}
	return b.scripted, b.checkReference(ctx)
}

// sourced is a statement with the name of its file.
type sourced struct {
	file string
	pgscript.Statement
}

// cancelGrace is how long a cancelled script may take to end.
const cancelGrace = 5 * time.Second

// runScripts runs scripts in the boundary, and remembers what [build.CheckConfined] compares. v are the values of the
// request; nil: it has none, and a script that reads one fails.
func (b *build) runScripts(ctx context.Context, files []script, v *pipeline.Values) error {
	var places []sourced
	for _, file := range files {
		for _, s := range file.statements {
			places = append(places, sourced{file.Name, s})
		}
	}
	if len(places) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, b.scripts.timeout+cancelGrace)
	defer cancel()
	b.scripted = true
	if err := b.beginScripts(ctx, v); err != nil {
		return fmt.Errorf("prepare to run the initialisation scripts: %w", sharedFault(err))
	}
	done, deadline, err := b.sendScripts(ctx, places)
	switch {
	case err != nil && done < len(places):
		return b.scriptFault(ctx, places[done], deadline, err)
	case deadline.passed: // the cancellation may still reach this session
		last := places[len(places)-1]
		return pipeline.ScriptFailed(last.file, last.Line, "", b.timeoutPassed(err))
	case err != nil:
		return fmt.Errorf("end the initialisation scripts: %w", sharedFault(err))
	case b.conn.Conn().PgConn().TxStatus() != 'T':
		return pipeline.Permanentf(events.CauseInitScriptFailed, "an initialisation script has ended the transaction of the "+
			"attempt, so what was done before is not rolled back: remove its COMMIT or ROLLBACK, and drop schema %s", b.schema)
	}
	return nil
}

// beginScripts reads what the transaction has left so far, and prepares it for scripts.
func (b *build) beginScripts(ctx context.Context, v *pipeline.Values) error {
	if err := b.renewSequences(ctx); err != nil {
		return err
	}
	var lock, statement string
	batch := &pgx.Batch{}
	b.queueFootprint(batch, &b.before)
	most := b.scripts.timeout
	if b.timeouts.lock > 0 {
		most = min(most, b.timeouts.lock)
	}
	// The client cancels what runs too long. The server's own timeout is for a client that has vanished.
	vanished := b.scripts.timeout + 2*cancelGrace
	batch.Queue(b.q.BeginScripts, quote(b.schema), milliseconds(most), milliseconds(vanished)).QueryRow(
		func(row pgx.Row) error { return row.Scan(&lock, &statement, nil, nil, nil) })
	if v != nil {
		batch.Queue(b.q.ScriptValues, v.TenantID, v.DisplayName, v.CreatedBy, v.Plan)
	}
	if err := b.conn.SendBatch(ctx, batch).Close(); err != nil {
		return err
	}
	b.restore = restoreSQL(lock, statement)
	return nil
}

// deadline is what became of the scripts' time.
type deadline struct {
	passed bool  // the running statement was cancelled
	err    error // of the cancellation: the server cannot be reached
}

// sendScripts sends the statements in one round trip, each as a message of its own, and then b.restore. It returns how
// many have succeeded.
func (b *build) sendScripts(ctx context.Context, places []sourced) (done int, d deadline, err error) {
	conn := b.conn.Conn().PgConn()
	batch := &pgconn.Batch{}
	for _, p := range places {
		batch.ExecParams(p.Text, nil, nil, nil, nil)
	}
	batch.ExecParams(b.restore, nil, nil, nil, nil)
	canceled := make(chan error, 1)
	timer := time.AfterFunc(b.scripts.timeout, func() { canceled <- conn.CancelRequest(ctx) })
	results := conn.ExecBatch(ctx, batch)
	for results.NextResult() {
		if _, failed := results.ResultReader().Close(); failed == nil {
			done++
		}
	}
	err = results.Close()
	if d.passed = !timer.Stop(); d.passed {
		d.err = <-canceled
	}
	return done, d, err
}

// scriptFault returns the fault of a statement. Whatever the server says about it is the script's fault, except what is
// known to be passing, and the end of the connection.
func (b *build) scriptFault(ctx context.Context, at sourced, d deadline, err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) {
		if d.passed && d.err == nil {
			return b.endScript(ctx, at)
		}
		return fmt.Errorf("run the initialisation scripts: %w", classify(err))
	}
	line := at.LineAt(int(server.Position))
	switch {
	case server.SeverityUnlocalized == "FATAL", server.SeverityUnlocalized == "PANIC":
		return fmt.Errorf("run the initialisation scripts: %s, line %d: %w", at.file, line, endedFault(err))
	case d.passed:
		err = b.timeoutPassed(err)
	case transientInScript[server.Code]:
		return &pipeline.Fault{
			Class: pipeline.Transient, Message: fmt.Sprintf("%s, line %d", at.file, line), DriverCode: server.Code,
			TimedOut: waitEnded(err), Err: err,
		}
	case unknownName[server.Code]:
		err = fmt.Errorf("%w%s; scripts see only the tenant's schema and pg_catalog", err, Details(err))
	default:
		err = fmt.Errorf("%w%s", err, Details(err))
	}
	return pipeline.ScriptFailed(at.file, line, server.Code, err)
}

// endedFault is classify for an error with which the server has ended a session that runs scripts, or triggers that
// they have made. That is an outage like every other loss of the connection. But a role may end its own sessions, so
// if it stays after several pauses while rehearsals succeed, it counts attempts.
func endedFault(err error) error {
	var fault *pipeline.Fault
	if failed := classify(err); !errors.As(failed, &fault) || !endedByScript[fault.DriverCode] {
		return failed
	}
	own := *fault
	own.Lost = false
	own.Message = "the server ended the session; if a script, or a trigger that it has made, does that, remove it"
	return &own
}

// endedByScript are the SQLSTATEs with which the server ends a session because of what a script may do:
// pg_terminate_backend, and transaction_timeout from PostgreSQL 17.
var endedByScript = map[string]bool{"57P01": true, "25P04": true}

// unknownName are the SQLSTATEs for a table, function, or other object that does not exist. Often it does, in public.
var unknownName = map[string]bool{"42P01": true, "42883": true, "42704": true}

// transientInScript are the SQLSTATEs after which the same script may succeed in the next attempt: serialization
// failure, deadlock, lock timeout.
var transientInScript = map[string]bool{"40001": true, "40P01": true, "55P03": true}

func (b *build) timeoutPassed(err error) error {
	const text = "the scripts took longer than INIT_SCRIPT_TIMEOUT, %s; make them faster, or increase it"
	if err == nil {
		return fmt.Errorf(text, b.scripts.timeout)
	}
	return fmt.Errorf(text+": %w", b.scripts.timeout, err)
}

// endScript terminates the session of a script that ignores its cancellation. The server reports the results of earlier
// statements only with the answer, which did not come, so it is asked what the session was running.
func (b *build) endScript(ctx context.Context, at sourced) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	on, done := b.probe(ctx)
	defer done()
	var running string
	if err := on.QueryRow(ctx, b.q.EndScript, b.conn.Conn().PgConn().PID()).Scan(&running, nil); err != nil {
		b.log.WarnContext(ctx, "could not end the session of a script that ignores its cancellation", "error", err)
	}
	for _, f := range b.scripts.files {
		for _, s := range f.statements {
			if running != "" && strings.HasPrefix(s.Text, running) { // the server cuts it
				at = sourced{f.Name, s}
			}
		}
	}
	return pipeline.ScriptFailed(at.file, at.Line, "", b.timeoutPassed(errors.New("it ignored the cancellation")))
}

// restoreSQL returns a statement that sets what the rest of the attempt depends on, whatever the scripts have set.
func restoreSQL(lock, statement string) string {
	return setAll(append(slices.Clone(forced), setting{"lock_timeout", lock}, setting{"statement_timeout", statement},
		setting{"idle_in_transaction_session_timeout", milliseconds(frozenTimeout)}), true, true)
}
