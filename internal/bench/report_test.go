//go:build bench

package bench

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

// row is a line of the report: a ratio of two sides, or one figure of ours.
type row struct {
	what       string
	ours, bare []float64 // one figure a round; no bare: ours alone counts
	unit       string
	goal       float64 // of the ratio; 0: none
	atMost     bool    // the goal is an upper bound
}

// ratios returns the ratios of the rounds.
func (r row) ratios() []float64 {
	if r.bare == nil {
		return r.ours
	}
	all := make([]float64, len(r.ours))
	for i := range all {
		all[i] = r.ours[i] / r.bare[i]
	}
	return all
}

func (r row) met() bool {
	if got := median(r.ratios()); r.atMost {
		return got <= r.goal
	}
	return median(r.ratios()) >= r.goal
}

// cells returns the columns of the table.
func (r row) cells() []string {
	sign, met := "≥", "yes"
	if r.atMost {
		sign = "≤"
	}
	if !r.met() {
		met = "**no**"
	}
	goal := sign + " " + figure(r.goal)
	if r.goal == 0 {
		goal, met = "", ""
	}
	all := r.ratios()
	spread := fmt.Sprintf("%s to %s", figure(slices.Min(all)), figure(slices.Max(all)))
	if r.bare == nil {
		return []string{
			r.what, figure(median(r.ours)) + " " + r.unit, "", "", spread + " " + r.unit,
			goal + " " + r.unit, met,
		}
	}
	return []string{
		r.what, figure(median(r.ours)) + " " + r.unit, figure(median(r.bare)) + " " + r.unit,
		figure(median(all)), spread, goal, met,
	}
}

// figure renders three significant digits.
func figure(f float64) string {
	switch {
	case f >= 1000:
		return fmt.Sprintf("%.0f", f)
	case f >= 100:
		return fmt.Sprintf("%.0f", f)
	case f >= 10:
		return fmt.Sprintf("%.1f", f)
	case f >= 1:
		return fmt.Sprintf("%.2f", f)
	}
	return fmt.Sprintf("%.3f", f)
}

func median(figures []float64) float64 { return quantile(figures, 0.5) }

// quantile returns the figure below which that share of the figures lies.
func quantile(figures []float64, q float64) float64 {
	sorted := slices.Sorted(slices.Values(figures))
	at := q * float64(len(sorted)-1)
	low := int(at)
	high := min(low+1, len(sorted)-1)
	return sorted[low] + (at-float64(low))*(sorted[high]-sorted[low])
}

// report has the results of a run.
type report struct {
	rows   []row
	tables []table
	plots  []string // file names, in the order of the report
	dir    string   // empty: nothing is written
}

// table is a further table of figures.
type table struct {
	title, text string
	head        []string
	lines       [][]string
}

func (r *report) add(t testing.TB, one row) {
	t.Helper()
	r.rows = append(r.rows, one)
	t.Log(strings.Join(one.cells(), " | "))
}

func (r *report) addTable(t testing.TB, one table) {
	t.Helper()
	r.tables = append(r.tables, one)
	t.Logf("%s\n%s", one.title, markdown(one.head, one.lines))
}

func markdown(head []string, lines [][]string) string {
	var b strings.Builder
	line := func(cells []string) { fmt.Fprintf(&b, "| %s |\n", strings.Join(cells, " | ")) }
	line(head)
	line(slices.Repeat([]string{"---"}, len(head)))
	for _, cells := range lines {
		line(cells)
	}
	return b.String()
}

// write writes the report as a page.
func (r *report) write(t testing.TB) {
	t.Helper()
	if r.dir == "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "# Benchmarks\n\nWritten by `make bench` on %s; do not edit. What the figures mean, and why: "+
		"[performance.md](../performance.md).\n\n%s\n", time.Now().UTC().Format(time.DateOnly), machine(t))
	b.WriteString("A row's ratio is the median of its rounds' ratios, each of both sides by turns on the same server; the spread is " +
		"the least and the greatest.\n\n")
	var lines [][]string
	for _, one := range r.rows {
		lines = append(lines, one.cells())
	}
	b.WriteString(markdown([]string{"", "ours", "bare", "ratio", "spread", "goal", "met"}, lines))
	for _, p := range r.plots {
		fmt.Fprintf(&b, "\n![%s](%s)\n", strings.TrimSuffix(p, ".svg"), p)
	}
	for _, one := range r.tables {
		fmt.Fprintf(&b, "\n## %s\n\n%s\n\n%s", one.title, one.text, markdown(one.head, one.lines))
	}
	testkit.Must(t, os.WriteFile(filepath.Join(r.dir, "README.md"), []byte(b.String()), 0o644))
}

// machine describes the machine.
func machine(t testing.TB) string {
	t.Helper()
	cpu := "unknown processor"
	if info, err := os.ReadFile("/proc/cpuinfo"); err == nil {
		for line := range strings.Lines(string(info)) {
			if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
				cpu = strings.TrimSpace(value)
				break
			}
		}
	}
	kernel, err := exec.Command("uname", "-sr").Output()
	testkit.Must(t, err)
	var docex string
	if versions.docex != "" {
		docex = fmt.Sprintf("- DocEX %s, in one process, on the same server\n", versions.docex)
	}
	return fmt.Sprintf("- %d × %s, %s, %s\n- PostgreSQL %s with `%s`, nats-server %s with `sync_interval: always`, all on this "+
		"machine and its one disk\n%s- one fsync of 8 KiB takes %s ms (median)\n",
		runtime.NumCPU(), cpu, strings.TrimSpace(string(kernel)), runtime.Version(), versions.postgres,
		strings.Join(postgresSettings, " "), versions.nats, docex, figure(syncTime(t)))
}

// versions of the servers and of DocEX, for the report; no DocEX: not measured.
var versions struct{ postgres, nats, docex string }

// syncTime returns the milliseconds that the disk takes to make 8 KiB durable.
func syncTime(t testing.TB) float64 {
	t.Helper()
	f, err := os.Create(filepath.Join(t.TempDir(), "probe"))
	testkit.Must(t, err)
	defer f.Close()
	block := make([]byte, 8192)
	var took []float64
	for range 200 {
		_, err := f.Write(block)
		testkit.Must(t, err)
		began := time.Now()
		testkit.Must(t, f.Sync())
		took = append(took, milliseconds(time.Since(began)))
	}
	return median(took)
}

func milliseconds(d time.Duration) float64 { return float64(d.Nanoseconds()) / 1e6 }

// rate returns the number per second.
func rate(n int, d time.Duration) float64 { return float64(n) / d.Seconds() }

// byTurns runs both sides in each round, the other one first in the next, and returns their figures.
func byTurns(rounds int, ours, bare func() float64) (a, b []float64) {
	for i := range rounds {
		if i%2 == 0 {
			a = append(a, ours())
			b = append(b, bare())
		} else {
			b = append(b, bare())
			a = append(a, ours())
		}
	}
	return a, b
}
