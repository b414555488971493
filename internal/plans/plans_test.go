package plans

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// write writes a file of plans, and returns its path.
func write(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "plans.yaml")
	testkit.Must(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// readAll is Read with all faults as one.
func readAll(path string) (*pipeline.Plans, error) {
	got, faults := Read(path)
	return got, errors.Join(faults...)
}

func TestPlansAreRead(t *testing.T) {
	t.Parallel()
	got, err := readAll(write(t, "\ufeff# of the shop\n"+`
default: free
plans:
  free: {max_bytes: 1GiB, max_rows: 100000, labels: {tier: free, "year": "2026"}}
  pro.v2: &pro
    max_bytes: "500 MB"
  team-1: *pro
  "2026": {max_rows: 1}
  enterprise: {}
`))
	testkit.Must(t, err)
	plan := func(name string, bytes, rows int64) pipeline.Plan {
		return pipeline.Plan{Name: name, Limits: events.PlanLimits{MaxBytes: bytes, MaxRows: rows}}
	}
	want := &pipeline.Plans{
		Default: "free",
		ByName: map[string]pipeline.Plan{
			"free": plan("free", 1<<30, 100_000), "pro.v2": plan("pro.v2", 500_000_000, 0), "team-1": plan("team-1", 500_000_000, 0),
			"2026": plan("2026", 0, 1), "enterprise": plan("enterprise", 0, 0),
		},
		Labels: map[string]map[string]string{"free": {"tier": "free", "year": "2026"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestSizes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]int64{
		"1": 1, "1B": 1, "1073741824": 1 << 30, "2KB": 2000, "2kB": 2000, "3MB": 3e6, "4GB": 4e9, "5TB": 5e12,
		"2KiB": 2 << 10, "3MiB": 3 << 20, "4GiB": 4 << 30, "5TiB": 5 << 40, "1 gib": 1 << 30,
		"9007199254740991": 1<<53 - 1, "8191TiB": 8191 << 40,
	} {
		if got, err := parseSize(text); err != nil || got != want {
			t.Errorf("%q: %d, %v, want %d", text, got, err, want)
		}
	}
	for text, want := range map[string]error{
		"0": errTooSmall, "-1": errTooSmall, "-5GiB": errTooSmall, "-9223372036854775809": errTooSmall, "0TiB": errTooSmall,
		"8192TiB": errTooLarge, "9007199254740992": errTooLarge, "9223372036854775808": errTooLarge,
		"99999999999999999999999TiB": errTooLarge, "18446744073709551617": errTooLarge, "16777216TiB": errTooLarge,
	} {
		if _, err := parseSize(text); err != want { //nolint:errorlint // sentinels
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
	for _, text := range []string{
		"", " 1", "1 ", "1  GiB", "1.5GiB", "1e9", "1_000", "0x10", "010", "+1", "1Gi", "1G", "1PB", "GiB", "1GiB/s", "١", "1\n", "1;2",
	} {
		if n, err := parseSize(text); err == nil {
			t.Errorf("%q is read as %d", text, n)
		}
	}
	for _, text := range []string{"1KB", "1.0", "1e3", "1_000", ""} {
		if n, err := parseCount(text); err == nil {
			t.Errorf("%q is read as %d rows", text, n)
		}
	}
}

// Each fault names file and line, and what to write.
func TestFaultsOfTheFile(t *testing.T) {
	t.Parallel()
	const free = "default: free\nplans:\n  free: "
	name51, label64 := strings.Repeat("n", 51), strings.Repeat("l", 64)
	for name, c := range map[string]struct{ text, want string }{
		"empty":                    {"", " is empty; write default: free, and plans: {"},
		"comments only":            {"# nothing\n", " is empty; write default: free"},
		"null":                     {"---\n", ": is empty; write default and plans"},
		"a list":                   {"- free\n", ":1: is a list; write default and plans"},
		"a text":                   {"free\n", ":1: is a text; write default and plans"},
		"not YAML":                 {"default: free\nplans: {free: {}\n", "not YAML: "},
		"a tab":                    {"default: free\nplans:\n\tfree: {}\n", "not YAML: "},
		"not UTF-8":                {"default: \xff\n", "not YAML: "},
		"an unknown anchor":        {free + "*other\n", "not YAML: "},
		"two documents":            {free + "{}\n---\n" + free + "{}\n", ": a second document begins here"},
		"a broken second document": {free + "{}\n---\n{\n", "not YAML: "},
		"no default":               {"plans: {free: {}}\n", ":1: default: is missing; write the name of the plan"},
		"no plans":                 {"default: free\n", ":1: plans: is missing; write plans: {free: "},
		"plans empty":              {"default: free\nplans:\n", ":2: plans: is empty; write the plans by their names"},
		"plans without a plan":     {"default: free\nplans: {}\n", ":2: plans: is empty; write at least one plan"},
		"plans as a list":          {"default: free\nplans:\n  - free\n", ":3: plans: is a list; write the plans by their names"},
		"unknown default":          {"plans:\n  free: {}\n  pro: {}\ndefault: fre\n", `:4: default: there is no plan "fre"; write one of: free, pro`},
		"default a number":         {"default: 2026\nplans: {\"2026\": {}}\n", ":1: default: is a number; write the name of a plan, in quotation marks"},
		"default empty":            {"default:\nplans: {free: {}}\n", ":1: default: is empty; write the name of a plan"},
		"default an empty text":    {"default: ''\nplans: {free: {}}\n", ":1: default: is empty; write the name of a plan"},
		"default a list":           {"default: [free]\nplans: {free: {}}\n", ":1: default: is a list; write the name of a plan"},
		"unknown field":            {"Default: free\n" + free + "{}\n", ":1: Default: is unknown; did you mean default?"},
		"unlike any field":         {"owner: me\n" + free + "{}\n", ":1: owner: is unknown; write default, plans"},
		"unknown limit":            {free + "{max_byte: 1}\n", ":3: plans.free.max_byte: is unknown; did you mean max_bytes?"},
		"unlike any limit":         {free + "{price: 1}\n", ":3: plans.free.price: is unknown; write max_bytes, max_rows, labels"},
		"default twice":            {"default: free\n" + free + "{}\n", ":2: default: is there twice, first in line 1; remove one"},
		"a plan twice":             {free + "{}\n  free: {}\n", ":4: plans.free: is there twice, first in line 3"},
		"a limit twice":            {free + "{max_rows: 1, max_rows: 2}\n", ":3: plans.free.max_rows: is there twice"},
		"a label twice":            {free + "{labels: {a: b, a: c}}\n", ":3: plans.free.labels.a: is there twice"},
		"a plan without a value":   {free + "\n", ":3: plans.free: is empty; write its limits, such as {max_bytes: 1GiB}, or {} for"},
		"a plan that is a number":  {free + "1\n", ":3: plans.free: is a number; write its limits"},
		"a number as a name":       {free + "{}\n  2026: {}\n", ":4: plans: the key is a number; write a name, in quotation marks"},
		"a boolean as a name":      {free + "{}\n  true: {}\n", ":4: plans: the key is a boolean"},
		"a mapping as a name":      {free + "{}\n  ? {a: b}\n  : {}\n", ":4: plans: the key is a mapping"},
		"a merge key":              {free + "&x {max_rows: 1}\n  pro: {<<: *x}\n", ":4: plans.pro: the key is a merge key, which is not supported"},
		"empty name":               {free + "{}\n  '': {}\n", `:4: plans: "" is not a name of 1 to 50 of A–Z a–z 0–9 _ . -`},
		"name with a blank":        {free + "{}\n  a b: {}\n", `:4: plans: "a b" is not a name`},
		"name with a flag's sign":  {free + "{}\n  -x: {}\n", `:4: plans: "-x" is not a name`},
		"name with a line break":   {free + "{}\n  \"x\\n\": {}\n", `:4: plans: "x\n" is not a name`},
		"name with an umlaut":      {free + "{}\n  größer: {}\n", `:4: plans: "größer" is not a name`},
		"name too long":            {free + "{}\n  " + name51 + ": {}\n", `:4: plans: "` + name51 + `" is not a name of 1 to 50`},
		"max_bytes negative":       {free + "{max_bytes: -1}\n", `:3: plans.free.max_bytes: "-1" is below 1; write a size such as 1073741824, 500MB or 1GiB`},
		"max_bytes 0":              {free + "{max_bytes: 0}\n", ":3: plans.free.max_bytes: \"0\" is below 1; write a size such as 1073741824, 500MB or 1GiB, or leave it out for no limit"},
		"max_bytes too large":      {free + "{max_bytes: 8192TiB}\n", `:3: plans.free.max_bytes: "8192TiB" is above 9007199254740991`},
		"max_bytes a fraction":     {free + "{max_bytes: 1.5}\n", `:3: plans.free.max_bytes: "1.5" is not a size in whole bytes`},
		"max_bytes, unknown unit":  {free + "{max_bytes: 1PB}\n", `:3: plans.free.max_bytes: "1PB" has a unit other than B, KB`},
		"max_bytes without value":  {free + "{max_bytes: }\n", ":3: plans.free.max_bytes: is empty; write a size"},
		"max_bytes true":           {free + "{max_bytes: true}\n", ":3: plans.free.max_bytes: is a boolean; write a size"},
		"max_bytes a list":         {free + "{max_bytes: [1]}\n", ":3: plans.free.max_bytes: is a list; write a size"},
		"max_bytes a date":         {free + "{max_bytes: 2026-01-01}\n", ":3: plans.free.max_bytes: is a date; write a size"},
		"max_bytes, own type":      {free + "{max_bytes: !size 1}\n", ":3: plans.free.max_bytes: is of the type !size; write a size"},
		"max_rows negative":        {free + "{max_rows: -5}\n", `:3: plans.free.max_rows: "-5" is below 1; write a whole number such as 100000`},
		"max_rows too large":       {free + "{max_rows: 9007199254740992}\n", `:3: plans.free.max_rows: "9007199254740992" is above`},
		"max_rows overflows":       {free + "{max_rows: 99999999999999999999}\n", `:3: plans.free.max_rows: "99999999999999999999" is above`},
		"max_rows a fraction":      {free + "{max_rows: 1.5}\n", `:3: plans.free.max_rows: "1.5" is not a whole number`},
		"max_rows with a unit":     {free + "{max_rows: 1KB}\n", ":3: plans.free.max_rows: is a text; write a whole number"},
		"max_rows a text":          {free + "{max_rows: \"100\"}\n", ":3: plans.free.max_rows: is a text; write a whole number"},
		"labels a text":            {free + "{labels: free}\n", ":3: plans.free.labels: is a text; write texts by names, such as {tier: free}"},
		"a label that is a number": {free + "{labels: {year: 2026}}\n", ":3: plans.free.labels.year: is a number; write a text, in quotation marks"},
		"a label that is empty":    {free + "{labels: {tier: ''}}\n", ":3: plans.free.labels.tier: is empty; write a text"},
		"a label of two lines":     {free + "{labels: {tier: \"a\\nb\"}}\n", ":3: plans.free.labels.tier: is not 1 to 255 characters without control characters"},
		"a label too long":         {free + "{labels: {tier: " + strings.Repeat("ü", 256) + "}}\n", ":3: plans.free.labels.tier: is not 1 to 255 characters"},
		"a label's name":           {free + "{labels: {a-b: c}}\n", `:3: plans.free.labels: "a-b" is not a name of 1 to 63 of A–Z a–z 0–9 _`},
		"a label's name, digit":    {free + "{labels: {1a: c}}\n", `:3: plans.free.labels: "1a" is not a name`},
		"a label of Prometheus":    {free + "{labels: {__name__: c}}\n", `:3: plans.free.labels: "__name__" is not a name`},
		"a label's name, long":     {free + "{labels: {" + label64 + ": c}}\n", `:3: plans.free.labels: "` + label64 + `" is not a name of 1 to 63`},
		"too many labels": {free + "{labels: {a: a, b: a, c: a, d: a, e: a, f: a, g: a, h: a, i: a, j: a, k: a, l: a, m: a, n: a, " +
			"o: a, p: a, q: a, r: a, s: a, t: a, u: a}}\n", ":3: plans.free.labels: has 21 labels; write at most 20"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, c.text)
			got, err := readAll(path)
			if err == nil {
				t.Fatalf("it is read: %+v", got)
			}
			if text := err.Error(); strings.Count(text, "\n") > 0 || !strings.HasPrefix(text, path) || !strings.Contains(text, c.want) {
				t.Errorf("%s\nwant one with %s", text, c.want)
			}
		})
	}
}

// At most 100 plans.
func TestTooManyPlans(t *testing.T) {
	t.Parallel()
	many := func(n int) string {
		var b strings.Builder
		b.WriteString("default: p\nplans:\n")
		for i := range n {
			b.WriteString("  p" + strings.Repeat("x", i%49) + string(rune('a'+i/49)) + ": {}\n")
		}
		return strings.Replace(b.String(), "pa:", "p:", 1)
	}
	_, err := readAll(write(t, many(100)))
	testkit.Must(t, err)
	_, err = readAll(write(t, many(101)))
	if err == nil || !strings.Contains(err.Error(), ":3: plans: has 101 plans; write at most 100") {
		t.Error(err)
	}
}

// All faults are reported at once, in the order of the file.
func TestAllFaultsAtOnce(t *testing.T) {
	t.Parallel()
	path := write(t, `
plans:
  free: {max_bytes: -1, max_rows: many}
  a b: {}
  pro: {labels: {tier: 1}, seats: 5}
owner: me
default: basic
`)
	_, err := readAll(path)
	if err == nil {
		t.Fatal("it is read")
	}
	var lines []string
	for line := range strings.Lines(err.Error()) {
		lines = append(lines, strings.Split(strings.TrimPrefix(line, path+":"), ":")[0])
	}
	testkit.Equal(t, "lines of the faults", strings.Join(lines, " "), "3 3 4 5 5 6 7")
}

// A file of another format does not flood the terminal.
func TestManyFaults(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&b, "key%d: value\n", i)
	}
	path := write(t, b.String())
	_, err := readAll(path)
	if err == nil || strings.Count(err.Error(), "\n") != maxFaults || !strings.HasSuffix(err.Error(), path+": further faults: 952") {
		t.Error(err)
	}
}

// Only a regular file is read. A pipe without a writer is refused at once.
func TestWhatIsNoFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	pipe := filepath.Join(dir, "pipe")
	testkit.Must(t, syscall.Mkfifo(pipe, 0o600))
	large := write(t, strings.Repeat("#", MaxFile)+"\n")
	for path, want := range map[string]string{
		dir: " is a directory; write the path of a YAML file", pipe: " is not a regular file; write the path of a YAML file",
		large: " is larger than 1 MiB", filepath.Join(dir, "missing"): "no such file",
	} {
		if _, err := readAll(path); err == nil || !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if os.Getuid() == 0 {
		return // root may read everything
	}
	closed := write(t, "default: free\n")
	testkit.Must(t, os.Chmod(closed, 0))
	if _, err := readAll(closed); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Error(err)
	}
}

// FuzzRead: no text makes the reader panic, and what it takes is consistent.
func FuzzParse(f *testing.F) {
	f.Add("default: free\nplans: {free: {max_bytes: 1GiB, max_rows: 100000, labels: {tier: free}}}\n")
	f.Add("a: &a [*a]\n")
	f.Add("plans: &p\n  free: *p\ndefault: free\n")
	f.Fuzz(func(t *testing.T, text string) {
		got, faults := parse("p", []byte(text))
		if faults != nil {
			return
		}
		if !got.Has(got.Default) || len(got.ByName) > maxPlans {
			t.Errorf("%+v", got)
		}
		for name, plan := range got.ByName {
			if plan.Name != name || min(plan.Limits.MaxBytes, plan.Limits.MaxRows) < 0 || len(name) > pipeline.MaxPlanName {
				t.Errorf("%+v", plan)
			}
		}
	})
}
