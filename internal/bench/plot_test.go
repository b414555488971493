//go:build bench

package bench

import (
	"fmt"
	"image/color"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"

	"example.com/tenant-provisioner/internal/testkit"
)

// The colours of the two sides. One is much darker, so that they differ without colour vision.
var (
	dark  = color.RGBA{R: 0x1b, G: 0x4f, B: 0x8a, A: 0xff}
	light = color.RGBA{R: 0xf2, G: 0xa6, B: 0x3b, A: 0xff}
)

// save writes the plot beside the report, with a white background for dark themes.
func (r *report) save(t testing.TB, p *plot.Plot, name string) {
	t.Helper()
	if r.dir == "" {
		return
	}
	p.BackgroundColor = color.White
	testkit.Must(t, p.Save(18*vg.Centimeter, 9*vg.Centimeter, filepath.Join(r.dir, name)))
	r.plots = append(r.plots, name)
}

// plotThroughput draws both sides by the number of workers, with the spread of the rounds.
func (r *report) plotThroughput(t testing.TB, levels []level) {
	t.Helper()
	p := plot.New()
	p.Title.Text = "As asked, PostgreSQL: tenants a second"
	p.X.Label.Text = "workers, or bare connections"
	p.Y.Min = 0
	const width = 24
	for side, shade := range []color.Color{dark, light} {
		values := plotter.Values{}
		spreads := spreadOf{}
		for i, l := range levels {
			figures := [][]float64{l.ours, l.bare}[side]
			values = append(values, median(figures))
			// The bars of both sides stand beside each other; the axis counts groups.
			spreads.XYs = append(spreads.XYs, plotter.XY{X: float64(i) + (float64(side)-0.5)*0.19, Y: median(figures)})
			spreads.YErrors = append(spreads.YErrors, struct{ Low, High float64 }{
				median(figures) - slices.Min(figures), slices.Max(figures) - median(figures),
			})
		}
		bars, err := plotter.NewBarChart(values, width)
		testkit.Must(t, err)
		bars.Color, bars.LineStyle.Width = shade, 0
		bars.Offset = vg.Length((float64(side) - 0.5) * width)
		errors, err := plotter.NewYErrorBars(spreads)
		testkit.Must(t, err)
		p.Add(bars, errors)
		p.Legend.Add([]string{"request to outcome", "bare DDL"}[side], bars)
	}
	var names []string
	for _, l := range levels {
		names = append(names, fmt.Sprint(l.workers))
	}
	p.NominalX(names...)
	p.Legend.Top, p.Legend.Left = true, true
	r.save(t, p, "throughput.svg")
}

type spreadOf struct {
	plotter.XYs
	plotter.YErrors
}

// plotLatencies draws for each series the share of its requests that finished within a time.
func (b *bench) plotLatencies(t testing.TB) {
	t.Helper()
	p := plot.New()
	p.Title.Text = "One request at a time: share done within"
	p.X.Label.Text = "milliseconds"
	p.X.Scale, p.X.Tick.Marker = plot.LogScale{}, plot.LogTicks{Prec: -1}
	p.Y.Min, p.Y.Max = 0, 1
	for i, name := range slices.Sorted(maps.Keys(b.latency)) {
		all := slices.Sorted(slices.Values(b.latency[name]))
		if len(all) == 0 {
			continue
		}
		points := make(plotter.XYs, len(all))
		for i, ms := range all {
			points[i] = plotter.XY{X: ms, Y: float64(i+1) / float64(len(all))}
		}
		line, err := plotter.NewLine(points)
		testkit.Must(t, err)
		line.Width, line.Color = 2, dark
		if strings.HasPrefix(name, "bare") {
			line.Color = light
		}
		if i%2 == 1 {
			line.Dashes = []vg.Length{6, 3}
		}
		p.Add(line)
		p.Legend.Add(name, line)
	}
	p.Add(plotter.NewGrid())
	p.Legend.Left, p.Legend.Top = true, true
	b.save(t, p, "latency.svg")
}
