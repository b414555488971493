package sql_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/sql/sqlite"
	"example.com/tenant-provisioner/internal/testkit"
)

// docexIndexes are those of DocEX's listings, as an initialisation script.
const docexIndexes = `
CREATE INDEX idx_docbasket_status ON docbasket (status);
CREATE INDEX idx_docbasket_created_at ON docbasket (created_at DESC);
CREATE INDEX idx_document_basket_status ON document (basket_id, status);
CREATE INDEX idx_document_basket_type ON document (basket_id, document_type);
CREATE INDEX idx_document_basket_created ON document (basket_id, created_at DESC);
CREATE INDEX idx_document_basket_updated ON document (basket_id, updated_at DESC);
CREATE INDEX idx_document_basket_name ON document (basket_id, name);
CREATE INDEX idx_document_metadata_doc_key_value ON document_metadata (document_id, key);
`

// BenchmarkSQLite provisions tenants, also with initialisation scripts, and, for comparison, does only the unavoidable work: copy a finished file, sync
// it, rename it, sync its directory.
func BenchmarkSQLite(b *testing.B) {
	for _, workers := range []int{1, 4, 8} {
		b.Run(fmt.Sprint("provision/workers=", workers), func(b *testing.B) {
			root := b.TempDir()
			store := benchStore(b, root)
			defer store.Close()
			measure(b, workers, func(i int) error { return provisionBare(b.Context(), store, fmt.Sprint("t", i)) })
		})
		for name, prepare := range map[string]bool{"scripts": false, "prepared scripts": true} {
			b.Run(fmt.Sprint(name, "/workers=", workers), func(b *testing.B) {
				store := benchStoreWith(b, b.TempDir(), &pipeline.Scripts{
					Files: []pipeline.Script{{Name: "010_docex.sql", Text: docexIndexes, Prepare: prepare}}, Timeout: time.Minute,
				})
				defer store.Close()
				measure(b, workers, func(i int) error { return provisionBare(b.Context(), store, fmt.Sprint("t", i)) })
			})
		}
		b.Run(fmt.Sprint("bare/workers=", workers), func(b *testing.B) {
			root := b.TempDir()
			store := benchStore(b, root)
			testkit.Must(b, provisionBare(b.Context(), store, "model"))
			testkit.Must(b, store.Close())
			finished, err := os.ReadFile(filepath.Join(root, "tenant_model", "docex.db"))
			testkit.Must(b, err)
			measure(b, workers, func(i int) error { return copyBare(finished, filepath.Join(root, fmt.Sprint("bare_", i))) })
		})
	}
}

// measure calls do b.N times on that many workers, and reports the rate per second.
func measure(b *testing.B, workers int, do func(i int) error) {
	b.Helper()
	b.ReportAllocs()
	var next atomic.Int64
	var wg sync.WaitGroup
	b.ResetTimer()
	for range workers {
		wg.Go(func() {
			for i := int(next.Add(1)); i <= b.N; i = int(next.Add(1)) {
				if err := do(i); err != nil {
					b.Error(err)
				}
			}
		})
	}
	wg.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "tenants/s")
}

func benchStore(b *testing.B, root string) *sqlite.Store {
	b.Helper()
	return benchStoreWith(b, root, nil)
}

func benchStoreWith(b *testing.B, root string, scripts *pipeline.Scripts) *sqlite.Store {
	b.Helper()
	store, err := sqlite.Open(b.Context(), sqlite.Config{
		Root: root, PathTemplate: "tenant_{tenant_id}/docex.db", Connections: 8, CreatedBy: "test", Log: quiet(), Now: time.Now,
		Scripts: scripts,
	})
	testkit.Must(b, err)
	return store
}

// provisionBare is an attempt of package pipeline without the parts that do not use the database.
func provisionBare(ctx context.Context, store *sqlite.Store, tenant string) error {
	e, err := events.NewRequested("/bench", tenant, events.Requested{TenantID: tenant, DisplayName: "A", CreatedBy: "b"})
	if err != nil {
		return err
	}
	c, err := store.Claim(ctx, pipeline.Request{Event: e}, tenant, pipeline.Limit{Attempts: 1, Lease: time.Hour})
	if err != nil {
		return err
	}
	build, err := store.Begin(ctx, c, tenant)
	if err != nil {
		return err
	}
	defer build.Close(ctx)
	boundary, err := build.CreateBoundary(ctx)
	if err != nil {
		return err
	}
	if err := build.CreateTables(ctx, nil); err != nil {
		return err
	}
	if _, err := build.CreateIndexes(ctx); err != nil {
		return err
	}
	found, err := build.Inspect(ctx)
	if err != nil {
		return err
	}
	if found.Indexes != 18 || len(found.Differences) > 0 {
		return fmt.Errorf("%+v", found)
	}
	if _, err := build.RunScripts(ctx, pipeline.Values{TenantID: tenant}); err != nil {
		return err
	}
	if err := build.CheckConfined(ctx); err != nil {
		return err
	}
	if found, err = build.Inspect(ctx); err != nil || len(found.Differences) > 0 {
		return fmt.Errorf("%+v: %w", found, err)
	}
	return build.Register(ctx, pipeline.Tenant{
		ID: tenant, DisplayName: "A", IsolationStrategy: "database", Boundary: boundary,
		CreatedAt: time.Now(), CreatedBy: "b",
	}, pipeline.Outcome{ID: tenant, Type: events.TypeProvisioned, Body: make([]byte, 1500)})
}

// copyBare writes a finished file into a new directory.
func copyBare(finished []byte, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		return err
	}
	f, err := os.Create(filepath.Join(dir, "copy"))
	if err != nil {
		return err
	}
	_, err = f.Write(finished)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(f.Name(), filepath.Join(dir, "docex.db")); err != nil {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
