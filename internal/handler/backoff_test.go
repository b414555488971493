package handler

import (
	"math"
	"testing"
	"time"
)

func TestBackoffDelay(t *testing.T) {
	t.Parallel()
	const low, high = 0, 1 - 1.0/(1<<53) // the bounds of rand.Float64
	seconds := Backoff{Min: time.Second, Max: 5 * time.Minute}
	for _, c := range []struct {
		name     string
		backoff  Backoff
		n        int
		min, max time.Duration
	}{
		{"no failure", seconds, 0, 500 * time.Millisecond, time.Second},
		{"first", seconds, 1, 500 * time.Millisecond, time.Second},
		{"second", seconds, 2, time.Second, 2 * time.Second},
		{"eighth", seconds, 8, 64 * time.Second, 128 * time.Second},
		{"capped", seconds, 10, 150 * time.Second, 300 * time.Second},
		{"stays capped", seconds, math.MaxInt, 150 * time.Second, 300 * time.Second},
		{"negative", seconds, math.MinInt, 500 * time.Millisecond, time.Second},
		{"no growth", Backoff{Min: time.Second, Max: time.Second}, 5, 500 * time.Millisecond, time.Second},
		{"no overflow", Backoff{Min: time.Nanosecond, Max: math.MaxInt64}, 1000, math.MaxInt64 / 2, math.MaxInt64},
	} {
		c.backoff.Random = func() float64 { return low }
		least := c.backoff.Delay(c.n)
		c.backoff.Random = func() float64 { return high }
		most := c.backoff.Delay(c.n)
		if least != c.min || most > c.max || most < c.max-max(1, c.max/1000) {
			t.Errorf("%s: %s to %s, want %s to %s", c.name, least, most, c.min, c.max)
		}
	}
}

func TestBackoffNeverShrinks(t *testing.T) {
	t.Parallel()
	b := Backoff{Min: 3 * time.Millisecond, Max: 7 * time.Second, Random: func() float64 { return 0.3 }}
	last := time.Duration(0)
	for n := range 100 {
		delay := b.Delay(n)
		if delay < last || delay > b.Max || delay < b.Min/2 {
			t.Fatalf("delay %d is %s after %s", n, delay, last)
		}
		last = delay
	}
}

func TestNewNamesTheInvalidField(t *testing.T) {
	b := newBundle(t)
	valid := b.start().Config
	for name, invalidate := range map[string]func(*Config){
		"Conn":         func(c *Config) { c.Conn = nil },
		"Link":         func(c *Config) { c.Link = nil },
		"JetStream":    func(c *Config) { c.JetStream = nil },
		"Provisioner":  func(c *Config) { c.Provisioner = nil },
		"Log":          func(c *Config) { c.Log = nil },
		"Workers":      func(c *Config) { c.Workers = 0 },
		"Min":          func(c *Config) { c.Backoff.Min = 0 },
		"Max":          func(c *Config) { c.Backoff.Max = c.Backoff.Min - 1 },
		"Random":       func(c *Config) { c.Backoff.Random = nil },
		"DrainTimeout": func(c *Config) { c.DrainTimeout = 0 },
		"AckWait":      func(c *Config) { c.Topology.AckWait = 0 },
	} {
		config := valid
		invalidate(&config)
		_, err := New(config)
		Contains(t, "New without "+name, err, name)
	}
}
