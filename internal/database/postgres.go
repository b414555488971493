package database

import (
	"context"

	"example.com/tenant-provisioner/internal/sql/postgres"
)

var (
	_ Store        = (*postgres.Store)(nil)
	_ Reader       = (*postgres.Reader)(nil)
	_ PoolReader   = (*postgres.Reader)(nil)
	_ SchemaReader = (*postgres.Reader)(nil)
)

// FillPool keeps the pool of prepared boundaries full, in the background. stop ends the work and waits for it. FillPool
// does nothing where the target is 0.
func FillPool(ctx context.Context, db Store) (stop func()) {
	if _, ok := Prepared(db); !ok {
		return func() {}
	}
	pg := db.(*postgres.Store) //nolint:errcheck,forcetypeassert // only this store has prepared boundaries
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		pg.FillPool(ctx)
	}()
	return func() {
		cancel()
		<-done
	}
}

// Pool is the state of the pool of prepared boundaries.
type Pool = postgres.Prepared

// Prepared returns the state of the pool of prepared boundaries, and false where the target is 0.
func Prepared(db Store) (Pool, bool) {
	pg, ok := db.(*postgres.Store)
	if !ok {
		return Pool{}, false
	}
	p := pg.Prepared()
	return p, p.Target > 0
}
