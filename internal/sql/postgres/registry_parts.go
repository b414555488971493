package postgres

import "context"

// registryParts are the parts of a registry that a schema has.
type registryParts struct {
	registry bool // the table of tenants
	ledger   bool // the table of requests, with its history
	pooled   bool // the table of prepared boundaries
	stamped  bool // the registry's id
	latest   bool // the columns of checkpoint and retention
	planned  bool // the columns of plans
	scripted bool // the table of applied scripts
}

// migrated reports whether the registry is of this version.
func (p registryParts) migrated() bool {
	return p.registry && p.ledger && p.pooled && p.stamped && p.latest && p.planned && p.scripted
}

// readParts reads which parts of a registry the schema has.
func (q queries) readParts(ctx context.Context, db querier, schema string) (p registryParts, err error) {
	err = db.QueryRow(ctx, q.Probe, schema).Scan(&p.registry, &p.ledger, &p.pooled, &p.stamped, &p.latest, &p.planned,
		&p.scripted)
	return p, err
}
