package telemetry

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"example.com/tenant-provisioner/internal/testkit"
)

type (
	record   struct{ Name, Note string }
	stringer string
	marshal  string
	lazy     string
	failing  struct{}
)

func (s stringer) String() string { return string(s) }

func (m marshal) MarshalText() ([]byte, error) {
	return []byte(m), nil
}

func (l lazy) LogValue() slog.Value { return slog.StringValue(string(l)) }

func (f *failing) Error() string { panic(strings.Repeat("p", 90_000)) }

func (f failing) MarshalJSON() ([]byte, error) {
	return nil, errors.New(strings.Repeat("m", 90_000))
}

func logTo(format string) (*slog.Logger, *bytes.Buffer) {
	var written bytes.Buffer
	return NewLogger(&written, slog.LevelDebug, format), &written
}

// A line is bounded, whatever its content.
func TestLogLineIsBounded(t *testing.T) {
	t.Parallel()
	for kind, long := range map[string]string{
		"letters": strings.Repeat("i", 90_000), "umlauts": strings.Repeat("ü", 45_000),
		"controls": strings.Repeat("\x01", 90_000), "quotes": strings.Repeat(`"\`, 45_000),
		"not UTF-8": strings.Repeat("\xff", 90_000), "unprintable": strings.Repeat("\U000e0001", 22_500),
	} {
		for name, write := range map[string]func(*slog.Logger){
			"message":           func(l *slog.Logger) { l.Info(long) },
			"string":            func(l *slog.Logger) { l.Info("m", "a", long) },
			"With":              func(l *slog.Logger) { l.With("a", long).Info("m") },
			"With and group":    func(l *slog.Logger) { l.WithGroup("g").With("a", long).Info("m") },
			"nested group":      func(l *slog.Logger) { l.Info("m", slog.Group("g", slog.Group("h", "a", long))) },
			"group as any":      func(l *slog.Logger) { l.Info("m", "a", []slog.Attr{slog.String("b", long)}) },
			"error":             func(l *slog.Logger) { l.Info("m", "a", fmt.Errorf("read: %w", errors.New(long))) },
			"joined errors":     func(l *slog.Logger) { l.Info("m", "a", errors.Join(errors.New(long), errors.New(long))) },
			"Stringer":          func(l *slog.Logger) { l.Info("m", "a", stringer(long)) },
			"URL":               func(l *slog.Logger) { l.Info("m", "a", &url.URL{Scheme: "nats", Path: long}) },
			"TextMarshaler":     func(l *slog.Logger) { l.Info("m", "a", marshal(long)) },
			"LogValuer":         func(l *slog.Logger) { l.Info("m", "a", lazy(long)) },
			"bytes":             func(l *slog.Logger) { l.Info("m", "a", []byte(long)) },
			"JSON":              func(l *slog.Logger) { l.Info("m", "a", json.RawMessage(`"`+strings.Repeat("j", 90_000)+`"`)) },
			"a list of one":     func(l *slog.Logger) { l.Info("m", "a", []string{long}) },
			"a list of many":    func(l *slog.Logger) { l.Info("m", "a", slices.Repeat([]string{"difference"}, 90_000)) },
			"a list, both":      func(l *slog.Logger) { l.Info("m", "a", []string{"short", long, long}) },
			"a list of empties": func(l *slog.Logger) { l.Info("m", "a", make([]string, 90_000)) },
			"struct":            func(l *slog.Logger) { l.Info("m", "a", record{"n", long}) },
			"pointer to struct": func(l *slog.Logger) { l.Info("m", "a", &record{"n", long}) },
			"map":               func(l *slog.Logger) { l.Info("m", "a", map[string][]string{long: {long}}) },
			"a panic in Error":  func(l *slog.Logger) { l.Info("m", "a", &failing{}) },
			"no JSON":           func(l *slog.Logger) { l.Info("m", "a", failing{}) },
		} {
			for _, format := range []string{"json", "text"} {
				log, written := logTo(format)
				write(log)
				if n := written.Len(); n > 2*maxLogText || n < 3 {
					t.Errorf("%s of %s as %s: %d bytes", name, kind, format, n)
				}
				if format == "json" && !json.Valid(written.Bytes()) || strings.Count(written.String(), "\n") != 1 {
					t.Errorf("%s of %s as %s: not one valid line: %.200q", name, kind, format, written)
				}
				if kind != "not UTF-8" && !utf8.Valid(written.Bytes()) {
					t.Errorf("%s of %s as %s: cut within a rune", name, kind, format)
				}
			}
		}
	}
}

// A short line is written as slog writes it.
func TestShortLogLineIsUnchanged(t *testing.T) {
	t.Parallel()
	var none *failing
	for name, value := range map[string]any{
		"string": "text", "number": 7, "bool": true, "nil": nil, "error": errors.New("a fault"), "list": []string{"a", "b"},
		"empty list": []string{}, "struct": record{"n", "x"}, "Stringer": &url.URL{Scheme: "nats", Host: "h"}, "nil error": none,
		"marshaler": marshal("m"), "lazy": lazy("l"), "map": map[string]int{"a": 1},
	} {
		for _, format := range []string{"json", "text"} {
			var want bytes.Buffer
			reference := slog.New(slog.NewJSONHandler(&want, nil))
			if format == "text" {
				reference = slog.New(slog.NewTextHandler(&want, nil))
			}
			log, got := logTo(format)
			log.Info("m", "a", value)
			reference.Info("m", "a", value)
			_, g, _ := strings.Cut(got.String(), "level")
			_, w, _ := strings.Cut(want.String(), "level")
			if name == "Stringer" && format == "json" {
				continue // slog writes its fields
			}
			testkit.Equal(t, name+" as "+format, g, w)
		}
	}
}

func TestLogReportsTheLengthOfATruncatedText(t *testing.T) {
	t.Parallel()
	log, written := logTo("json")
	log.With("source", strings.Repeat("s", 5000)).Info("m", "differences", slices.Repeat([]string{"column a.b is missing"}, 1000))
	testkit.Contains(t, "the log", written.String(), strings.Repeat("s", maxLogText)+"… (5000 bytes)", `"… and 958 more"]`)
	if strings.Contains(written.String(), strings.Repeat("s", maxLogText+1)) {
		t.Error("the text exceeds the limit")
	}
}

// A stack comes from this program, and is needed whole.
func TestStackIsLoggedLonger(t *testing.T) {
	t.Parallel()
	log, written := logTo("json")
	stack := string(debug.Stack()) + strings.Repeat("frame\n", 400)
	log.Error("panic", "panic", strings.Repeat("x", 90_000), logStack, stack)
	var line map[string]string
	testkit.Must(t, json.Unmarshal(written.Bytes(), &line))
	testkit.Equal(t, "stack", line[logStack], stack)
	written.Reset()
	log.Error("panic", logStack, strings.Repeat("x", 90_000))
	if written.Len() > maxLogStack+maxLogText {
		t.Errorf("%d bytes", written.Len())
	}
}

func BenchmarkLog(b *testing.B) {
	log, written := logTo("json")
	log = log.With("source", "/billing", "request", "order-1", "tenant", "acme")
	for b.Loop() {
		written.Reset()
		log.Info("Step 2/5: initialize_schema …", "duration_ms", 1.5, "error", errors.ErrUnsupported)
	}
}
