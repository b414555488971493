package page

import (
	"fmt"
	"strings"

	"example.com/tenant-provisioner/events"
)

const (
	barWidth = 1000 // in units of the drawing
	colors   = 5    // --s1 to --s5 of page.css; step 6 has the colour of step 1
	maxSteps = 12   // that are drawn
)

// bar is the time that an attempt took, divided into its steps. It is drawn with SVG attributes, because the policy
// allows no inline style.
type bar struct {
	Parts []part
	Text  string // as text
}

// part is one step in the bar.
type part struct {
	Color, X, Width int
	MS              float64
	Text            string
}

// colorOf returns the colour of the step with that number in a pipeline with so many steps; 0 if there is no such step.
func colorOf(number, steps int) int {
	if number < 1 || number > steps {
		return 0
	}
	return (number-1)%colors + 1
}

// newBar divides the attempt's time into its steps; known is the number of steps of the pipeline. Steps that take
// longer than the attempt can only be forged; the bar then shows the sum of the steps.
func newBar(p *events.Provisioned, known int) bar {
	steps := p.Steps[:min(len(p.Steps), maxSteps)]
	sum := 0.0
	for _, s := range steps {
		sum += max(s.DurationMS, 0)
	}
	whole := max(sum, p.DurationMS)
	var b bar
	var texts []string
	x := 0.0
	for _, s := range steps {
		text := fmt.Sprintf("%d %s %s ms", s.Number, display(s.Name, maxName), milliseconds(s.DurationMS))
		texts = append(texts, text)
		width := 0.0
		if whole > 0 {
			width = barWidth * (max(s.DurationMS, 0) / whole)
		}
		b.Parts = append(b.Parts, part{
			Color: colorOf(s.Number, known), X: int(x), Width: int(x+width) - int(x), MS: s.DurationMS, Text: text,
		})
		x += width
	}
	b.Text = strings.Join(texts, ", ")
	return b
}
