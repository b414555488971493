package page

import (
	"fmt"
	"strings"

	"example.com/tenant-provisioner/events"
)

const (
	barWidth      = 1000 // in the drawing's own units
	pipelineSteps = 5    // that have a colour
	mostSteps     = 8    // that are drawn
)

// bar is the time that an attempt took, divided into its steps. It is drawn by attributes of SVG: the policy allows
// no style in the page.
type bar struct {
	Parts []part
	Text  string // the same in words
}

// part is one step in the bar.
type part struct {
	Number, X, Width int
	MS               float64
	Text             string
}

// newBar divides the attempt's time, or the steps' own if they took longer, which they do not.
func newBar(p *events.Provisioned) bar {
	steps := p.Steps[:min(len(p.Steps), mostSteps)]
	sum := 0.0
	for _, s := range steps {
		sum += max(s.DurationMS, 0)
	}
	whole := max(sum, p.DurationMS)
	var b bar
	var texts []string
	x := 0.0
	for _, s := range steps {
		text := fmt.Sprintf("%d %s %s ms", s.Number, shown(s.Name, mostName), milliseconds(s.DurationMS))
		texts = append(texts, text)
		width := 0.0
		if whole > 0 {
			width = barWidth * (max(s.DurationMS, 0) / whole)
		}
		number := s.Number
		if number < 1 || number > pipelineSteps {
			number = 0
		}
		b.Parts = append(b.Parts, part{Number: number, X: int(x), Width: int(x+width) - int(x), MS: s.DurationMS, Text: text})
		x += width
	}
	b.Text = strings.Join(texts, ", ")
	return b
}
