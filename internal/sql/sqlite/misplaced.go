package sqlite

import (
	"context"
	databasesql "database/sql"
	"encoding/json"

	"example.com/tenant-provisioner/internal/sql"
)

// Twins returns pairs of registered ids that differ only in case, at most limit.
func (r *Reader) Twins(ctx context.Context, limit int) (pairs [][2]string, err error) {
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) (err error) {
		pairs, err = collect(ctx, tx, q.CaseVariants, func(row scanner) (p [2]string, err error) {
			err = row.Scan(&p[0], &p[1])
			return p, err
		}, limit)
		return err
	})
	return pairs, err
}

// Misplaced returns the tenants of a page of the registry whose boundary is not where DocEX looks, or is registered for
// another tenant. It finds that other tenant only if its path is spelled as this program spells it.
func (r *Reader) Misplaced(ctx context.Context, page []sql.TenantRow) (found []sql.Misplaced, err error) {
	paths := make([]string, len(page))
	for i, t := range page {
		paths[i] = r.path(t.ID)
	}
	list, err := json.Marshal(paths)
	if err != nil {
		return nil, err
	}
	owners := map[string]string{}
	err = r.read(ctx, "registry", func(tx *databasesql.Tx) error {
		rows, err := collect(ctx, tx, q.BoundaryOwners, func(row scanner) (p [2]string, err error) {
			err = row.Scan(&p[0], &p[1])
			return p, err
		}, string(list))
		for _, p := range rows {
			owners[p[0]] = p[1]
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	for i, t := range page {
		m := sql.Misplaced{TenantID: t.ID, RegisteredAs: t.Boundary.DatabasePath, Expected: paths[i]}
		if owner := owners[paths[i]]; owner != t.ID {
			m.Owner = owner
		}
		moved := m.RegisteredAs != "" && !r.isAt(t.ID, m.RegisteredAs) &&
			t.ID != sql.BootstrapTenant // DocEX registers its own at a path that it does not use
		if m.Owner != "" || moved {
			found = append(found, m)
		}
	}
	return found, nil
}
