package page

import (
	"fmt"
	"math"
	"time"
)

const (
	chartHeight  = 48 // in units of the drawing, of which a minute is 10 wide
	leastHeight  = 3  // of a column that is not 0
	labelMinutes = 15 // between two labels of the time axis
)

// chart has the columns of one type of outcome. It is drawn with SVG attributes, as a [bar] is.
type chart struct {
	Mark, Name, Class string
	Total, Most       uint64
	MostAt            time.Time // the first minute with the most outcomes
	Columns           []column
}

// column is one minute in a chart.
type column struct {
	Class   string // of the chart, or of a minute without a count
	X, Y, H int
	Text    string
}

// Charts returns a chart for each type of outcome, each with a scale of its own: a few failures among many outcomes
// must be visible.
func (m minutes) Charts() []chart {
	return []chart{
		m.chart("✓", "provisioned", "good", func(one minute) uint64 { return one.Provisioned }),
		m.chart("✗", "failed", "bad", func(one minute) uint64 { return one.Failed }),
	}
}

func (m minutes) chart(mark, name, class string, value func(minute) uint64) chart {
	c := chart{Mark: mark, Name: name, Class: class}
	for _, one := range m.List {
		n := value(one)
		c.Total += n
		if n > c.Most {
			c.Most, c.MostAt = n, one.Start
		}
	}
	for i, one := range m.List {
		n := value(one)
		col := column{Class: class, X: 10 * i, Text: fmt.Sprintf("%s: %s %s", hour(one.Start), group(n), name)}
		switch {
		case one.Dropped:
			col.Class, col.H, col.Text = "no-count", chartHeight, hour(one.Start)+": not in the stream any more"
		case one.Uncounted:
			col.Class, col.H, col.Text = "no-count", chartHeight, hour(one.Start)+": not counted yet"
		case n > 0:
			col.H = max(int(math.Round(chartHeight*float64(n)/float64(c.Most))), leastHeight)
		}
		col.Y = chartHeight - col.H
		c.Columns = append(c.Columns, col)
	}
	return c
}

// Active returns the minutes that have outcomes or no count, for readers of text.
func (m minutes) Active() (active []minute) {
	for _, one := range m.List {
		if one.Provisioned > 0 || one.Failed > 0 || one.Uncounted {
			active = append(active, one)
		}
	}
	return active
}

// Uncounted returns how many minutes are not counted yet.
func (m minutes) Uncounted() (n int) {
	for _, one := range m.List {
		if one.Uncounted {
			n++
		}
	}
	return n
}

// Labels are the times below the charts, evenly spaced from the first minute to the end of the last.
func (m minutes) Labels() (labels []string) {
	for i := 0; i < len(m.List); i += labelMinutes {
		labels = append(labels, hour(m.List[i].Start))
	}
	if n := len(m.List); n > 0 {
		labels = append(labels, hour(m.List[n-1].Start.Add(time.Minute)))
	}
	return labels
}

// hour formats the time of a minute.
func hour(t time.Time) string { return t.UTC().Format("15:04") }
