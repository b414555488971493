package pipeline

import (
	"errors"
	"log/slog"
	"testing"
	"time"
)

// BenchmarkJob measures a delivery without the database: the pipeline on a database that answers immediately, with the
// default log, discarded.
func BenchmarkJob(b *testing.B) {
	for name, prepare := range map[string]func(*fake){
		"provisioned": func(*fake) {},
		"finished":    func(f *fake) { f.outcome = &Outcome{ID: "x", Type: "tenant.provisioned", Body: []byte("{}")} },
		"retried":     func(f *fake) { f.fail["tables"] = errors.New("deadlock") },
	} {
		b.Run(name, func(b *testing.B) {
			bed := newTestbed()
			bed.config.Now = time.Now
			bed.config.Log = slog.New(slog.NewJSONHandler(nowhere{}, nil))
			p, err := New(bed.config)
			if err != nil {
				b.Fatal(err)
			}
			r := request(b)
			b.ReportAllocs()
			for b.Loop() {
				clear(bed.tenants)
				bed.outcome, bed.calls, bed.notes, bed.claim.Attempt = nil, bed.calls[:0], bed.notes[:0], 0
				prepare(bed.fake)
				if got := p.Job(r).Run(b.Context()); got.Verdict == Pause {
					b.Fatal(got.Err)
				}
			}
		})
	}
}

// nowhere discards what is written. Unlike with slog.DiscardHandler, records are created and formatted.
type nowhere struct{}

func (nowhere) Write(p []byte) (int, error) { return len(p), nil }

func BenchmarkSettle(b *testing.B) {
	facts := Facts{Ledger: Claimed, Result: ResultTransient}
	b.ReportAllocs()
	for b.Loop() {
		if Settle(facts) != Retry {
			b.Fatal("another verdict")
		}
	}
}
