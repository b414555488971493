package postgres

import (
	"testing"

	"github.com/jackc/pgx/v5"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/postgrestest"
	"example.com/tenant-provisioner/internal/sql"
)

// BenchmarkInspect compares the registry's own tables with the definition: with the plan of an earlier call, and after
// a CREATE SCHEMA, after which the query is planned again, as in every attempt.
func BenchmarkInspect(b *testing.B) {
	url := postgrestest.Database(b)
	if err := openAndClose(b.Context(), url); err != nil {
		b.Fatal(err)
	}
	q, err := loadQueries("docex_system")
	if err != nil {
		b.Fatal(err)
	}
	conn, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	for name, before := range map[string]string{
		"planned": "", "planning": "BEGIN; CREATE SCHEMA passing; ROLLBACK",
	} {
		b.Run(name, func(b *testing.B) {
			var in pipeline.Inspection
			for b.Loop() {
				if before != "" {
					b.StopTimer()
					if _, err := conn.Exec(b.Context(), before); err != nil {
						b.Fatal(err)
					}
					b.StartTimer()
				}
				if in, err = inspect(b.Context(), conn, q, "docex_system"); err != nil {
					b.Fatal(err)
				}
			}
			if in.Tables != len(sql.Tables) || len(in.Differences) > 0 {
				b.Fatalf("%+v", in)
			}
		})
	}
}
