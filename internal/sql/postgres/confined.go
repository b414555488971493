package postgres

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgtype"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
)

// The tripwire detects what scripts and seed data did outside of the boundary. It compares what the transaction has
// left before the scripts and after them (footprint.sql):
//
//  1. Locks. A transaction keeps its locks, so they name each relation that was read, written, altered or dropped, and
//     most other objects.
//  2. Counts of rows written to catalogues. Some statements lock nothing: those on schemas, GRANT, and CREATE or ALTER
//     of functions and types. What no boundary holds may not change at all. The rows of other catalogues are searched
//     for those that this transaction has written. That reads whole catalogues, so it is done once for each set of
//     counts: the scripts of the next tenant usually leave the same one. The rehearsal is the first.
//  3. What another session sees, if an object has vanished, or may have come from another schema.
//  4. The rehearsal also looks at the server's counts for each relation of the database, which include what a
//     subtransaction did that was rolled back.
//
// What it cannot detect: NOTIFY, which the server shows to no one before the commit; LISTEN, which ends with the
// session; calls of functions in other schemas, and the bodies of PL/pgSQL functions that were not run; what scripts do
// outside of the transaction, such as ending other sessions of the role; and, except in the rehearsal, what a
// subtransaction read or drew from a sequence that was rolled back.

// footprint is what a transaction has left so far: a row of footprint.sql.
type footprint struct {
	transaction, role, sessionRole, readOnly, temporary, cursors string
	boundary, owner, comment, definers, advisory                 string
	relations, objects                                           pgtype.FlatArray[string]
	writes                                                       pgtype.FlatArray[int64]
	holds                                                        string
}

func (b *build) queueFootprint(batch *pgx.Batch, f *footprint) {
	batch.Queue(b.q.Footprint, b.schema, b.scripts.oids()).QueryRow(f.scan)
}

func (t *footprint) scan(row pgx.Row) error {
	return row.Scan(&t.transaction, &t.role, &t.sessionRole, &t.readOnly, &t.temporary, &t.cursors, &t.boundary,
		&t.owner, &t.comment, &t.definers, &t.advisory, &t.relations, &t.objects, &t.writes, &t.holds)
}

func (s *scripts) oids() (oids []oid) {
	for _, c := range s.catalogues {
		oids = append(oids, c.oid)
	}
	return oids
}

// CheckConfined implements [pipeline.Build]. It fires all deferred triggers, and compares, in one round trip.
func (b *build) CheckConfined(ctx context.Context) error { return b.checkConfined(ctx, false) }

// checkConfined is CheckConfined; thorough: also for relations that only a subtransaction used, which needs a session
// that has done nothing else.
func (b *build) checkConfined(ctx context.Context, thorough bool) error {
	if !b.scripted {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	var after footprint
	batch := &scopedBatch{}
	batch.queue(sharedScope, nil, b.q.SearchPath, quote(b.schema)) // as the statements had that the triggers belong to
	batch.queue(tenantScope, nil, "SET CONSTRAINTS ALL IMMEDIATE")
	batch.queue(sharedScope, nil, b.restore) // a trigger, deferred or on seed data, may have changed settings
	batch.queue(sharedScope, after.scan, b.q.Footprint, b.schema, b.scripts.oids())
	if at, err := batch.send(ctx, b.conn); err != nil && at == tenantScope {
		return deferredFault(err)
	} else if err != nil {
		return fmt.Errorf("read what the initialisation scripts have left: %w", sharedFault(err))
	}
	if changed := b.before.changed(&after); len(changed) > 0 {
		return pipeline.Permanentf(events.CauseInitScriptFailed, "the initialisation scripts have changed %s; remove the "+
			"statements that do", strings.Join(changed, ", "))
	}
	found, err := b.outside(ctx, &after, thorough)
	if err != nil {
		return fmt.Errorf("look for what the initialisation scripts did outside of schema %s: %w", b.schema, sharedFault(err))
	}
	if len(found) == 0 {
		return nil
	}
	return pipeline.Permanentf(events.CauseInitScriptFailed, "the initialisation scripts, or triggers that the seed data "+
		"fires, reach outside of the tenant's schema %s: %s; let them use only objects of that schema, and do once by hand "+
		"what all tenants share", b.schema, countOrName(found))
}

// deferredFault returns the fault of a deferred constraint or trigger.
func deferredFault(err error) error {
	var server *pgconn.PgError
	if !errors.As(err, &server) || server.SeverityUnlocalized == "FATAL" || server.SeverityUnlocalized == "PANIC" {
		return endedFault(err)
	}
	fault := &pipeline.Fault{
		Class: pipeline.Permanent, Code: events.CauseInitScriptFailed, DriverCode: server.Code, TimedOut: waitEnded(err),
		Message: "a deferred constraint or trigger fails after the initialisation scripts and the seed data",
		Err:     fmt.Errorf("%w%s", err, Details(err)),
	}
	if transientInScript[server.Code] {
		fault.Class, fault.Code = pipeline.Transient, ""
	}
	return fault
}

// maxNamed bounds the objects that an error names.
const maxNamed = 5

func countOrName(found []string) string {
	if len(found) > maxNamed {
		return fmt.Sprintf("%s and %d more", strings.Join(found[:maxNamed], ", "), len(found)-maxNamed)
	}
	return strings.Join(found, ", ")
}

// changed names what must be the same before and after the scripts.
func (t *footprint) changed(after *footprint) (names []string) {
	for _, c := range []struct{ before, after, name string }{
		{t.transaction, after.transaction, "the transaction: it was ended, and another one begun"},
		{t.role, after.role, "the current role"},
		{t.sessionRole, after.sessionRole, "the session's role"},
		{t.readOnly, after.readOnly, "the transaction to read-only"},
		{t.boundary, after.boundary, "the name of the tenant's schema, or have dropped it"},
		{t.owner, after.owner, "the owner of the tenant's schema"},
		{t.comment, after.comment, "the comment on the tenant's schema, which names the registry that it belongs to"},
		{t.definers, after.definers, "functions with the rights of the service (SECURITY DEFINER): " + after.definers},
		{t.temporary, after.temporary, "the session by creating temporary objects"},
		{t.cursors, after.cursors, "the session by declaring cursors WITH HOLD"},
		{t.advisory, after.advisory, "the session's advisory locks"},
	} {
		if c.before != c.after {
			names = append(names, c.name)
		}
	}
	return names
}

// object is an object of a catalogue, by the oids of both.
type object struct{ class, id oid }

// Oids of the server's own objects.
const (
	relations oid = "1259" // pg_class
	schemas   oid = "2615" // pg_namespace
	toasts    oid = "99"   // the schema pg_toast
)

// outside describes what the transaction touched outside of the boundary since the footprint before.
func (b *build) outside(ctx context.Context, after *footprint, thorough bool) (found []string, err error) {
	found, searched := b.newWrites(after)
	touched, locked := b.newLocks(after)
	found = append(found, locked...)
	key := fmt.Sprint(after.writesSince(&b.before), after.holds)
	if !thorough && len(found)+len(touched) == 0 && b.scripts.confined.has(key) {
		return nil, nil
	}
	if err := b.addTouched(ctx, touched, rowWritten, b.q.ownRows(searched), after.boundary); err != nil {
		return nil, err
	}
	if thorough {
		if err := b.addTouched(ctx, touched, "read or written", b.q.UsedRelations, after.boundary,
			slices.Sorted(maps.Keys(b.before.uses()))); err != nil {
			return nil, err
		}
	}
	// What is inside may have come from another schema.
	if err := b.addTouched(ctx, touched, "moved", b.q.Inside, after.boundary); err != nil {
		return nil, err
	}
	outside, err := b.describe(ctx, touched, after.boundary)
	if found = append(found, outside...); err == nil && len(found) == 0 {
		b.scripts.confined.add(key)
	}
	return found, err
}

// writesSince returns the rows inserted, updated and deleted since the footprint before, of each catalogue.
func (t *footprint) writesSince(before *footprint) (writes [][3]int64) {
	for i := 0; i+2 < len(t.writes); i += 3 {
		writes = append(writes, [3]int64{
			t.writes[i] - before.writes[i], t.writes[i+1] - before.writes[i+1], t.writes[i+2] - before.writes[i+2],
		})
	}
	return writes
}

// newWrites returns what no boundary holds and was written since, and the other catalogues that were written.
func (b *build) newWrites(after *footprint) (found []string, searched []catalogueOf) {
	for i, n := range after.writesSince(&b.before) {
		c := b.scripts.catalogues[i]
		switch {
		case n == [3]int64{}:
		case c.rule.shared != "":
			found = append(found, c.rule.shared+" (created, changed or dropped)")
		case c.name == schemaCatalogue && (n[0] != 0 || n[2] != 0):
			found = append(found, "a schema (created or dropped)")
		default:
			searched = append(searched, c)
		}
	}
	return slices.Compact(found), searched
}

// uses returns how often each relation outside of the boundary was used that the transaction has locked.
func (t *footprint) uses() map[oid]string {
	uses := map[oid]string{}
	for r := range slices.Chunk(t.relations, 3) {
		uses[r[0]] = r[2]
	}
	return uses
}

// modes are what lock modes permit, the weakest first.
var modes = []struct{ mode, permits string }{
	{"AccessShareLock", "read"},
	{"RowShareLock", "rows locked"},
	{"RowExclusiveLock", "written"},
	{"ShareUpdateExclusiveLock", "altered or commented on"},
	{"ShareLock", "indexed or locked"},
	{"ShareRowExclusiveLock", "referenced, altered or locked"},
	{"ExclusiveLock", "altered or locked"},
	{"AccessExclusiveLock", "altered, emptied, dropped or locked"},
}

// newLocks returns the objects that were locked or used since, with what was done to them; and those that no boundary
// holds.
func (b *build) newLocks(after *footprint) (touched map[object]string, shared []string) {
	touched = map[object]string{}
	strongest := map[object]int{}
	add := func(o object, mode string) {
		at := slices.IndexFunc(modes, func(m struct{ mode, permits string }) bool { return m.mode == mode })
		if at >= 0 && (touched[o] == "" || at > strongest[o]) {
			touched[o], strongest[o] = modes[at].permits, at
		}
	}
	had := map[string]bool{}
	for r := range slices.Chunk(b.before.relations, 3) {
		had[r[0]+" "+r[1]] = true
	}
	uses := b.before.uses()
	for r := range slices.Chunk(after.relations, 3) {
		o := object{relations, r[0]}
		if !had[r[0]+" "+r[1]] {
			add(o, r[1])
		} else if r[2] != uses[r[0]] && touched[o] == "" {
			touched[o] = "read or written"
		}
	}
	clear(had)
	for r := range slices.Chunk(b.before.objects, 3) {
		had[strings.Join(r, " ")] = true
	}
	for r := range slices.Chunk(after.objects, 3) {
		class, known := b.scripts.homeless(r[0])
		switch {
		case had[strings.Join(r, " ")], known && r[2] == "AccessShareLock": // that of an owner, or a tablespace
		case known:
			shared = append(shared, class+" (changed or commented on)")
		case r[0] == schemas && r[1] == after.boundary:
		default:
			add(object{r[0], r[1]}, r[2])
		}
	}
	return touched, shared
}

// homeless reports what a class of objects is that no boundary holds.
func (s *scripts) homeless(class oid) (what string, yes bool) {
	for _, c := range s.catalogues {
		if c.oid == class && c.rule.shared != "" {
			return c.rule.shared, true
		}
	}
	return "", false
}

// rowWritten describes an object whose row in a catalogue was written.
const rowWritten = "created or changed"

// addTouched adds the objects that a query of classes and oids returns.
func (b *build) addTouched(ctx context.Context, to map[object]string, what, query string, args ...any) error {
	if query == "" {
		return nil
	}
	rows, err := b.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	var o object
	_, err = pgx.ForEachRow(rows, []any{&o.class, &o.id}, func() error {
		if to[o] == "" || to[o] == modes[0].permits && what == rowWritten { // from PostgreSQL 18, GRANT locks for reading
			to[o] = what
		}
		return nil
	})
	return err
}

// describe describes those of the objects that are not in the boundary, or were not before the transaction: another
// session sees that.
func (b *build) describe(ctx context.Context, touched map[object]string, boundary oid) (found []string, err error) {
	if len(touched) == 0 {
		return nil, nil
	}
	other, done := b.probe(ctx)
	defer done()
	named := map[object]string{}
	for _, on := range []querier{b.conn, other} {
		if err := b.nameOutside(ctx, on, touched, boundary, named); err != nil {
			return nil, err
		}
	}
	return slices.Sorted(maps.Values(named)), nil
}

func (b *build) nameOutside(
	ctx context.Context, on querier, touched map[object]string, boundary oid, named map[object]string,
) error {
	var classes, ids []oid
	for o := range touched {
		classes, ids = append(classes, o.class), append(ids, o.id)
	}
	rows, err := on.Query(ctx, b.q.Homes, classes, ids)
	if err != nil {
		return err
	}
	var o object
	var home, name string
	_, err = pgx.ForEachRow(rows, []any{&o.class, &o.id, &home, &name}, func() error {
		if home != boundary && home != toasts && named[o] == "" {
			named[o] = fmt.Sprintf("%s (%s)", name, touched[o])
		}
		return nil
	})
	return err
}

// knownFootprints are what transactions have left whose catalogues were searched without a finding. It is safe for
// concurrent use.
type knownFootprints struct {
	mutex sync.Mutex
	keys  map[string]bool
}

// maxKnown bounds them: scripts that leave something else in each tenant are searched for each.
const maxKnown = 100

func (k *knownFootprints) has(key string) bool {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	return k.keys[key]
}

func (k *knownFootprints) add(key string) {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	if k.keys == nil || len(k.keys) >= maxKnown {
		k.keys = map[string]bool{}
	}
	k.keys[key] = true
}
