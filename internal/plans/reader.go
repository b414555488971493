package plans

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"example.com/tenant-provisioner/events"
	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/spelling"
)

// Limits of the file.
const (
	maxPlans      = 100
	maxLabels     = 20  // of a plan
	maxLabelName  = 63  // characters
	maxLabelValue = 255 // characters
)

// maxFaults is how many faults are reported: a file of another format has one in each line.
const maxFaults = 50

var (
	// A name is an argument of commands, and may become a label's value of a metric.
	planName = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,%d}$`, pipeline.MaxPlanName-1))
	// What Prometheus takes as the name of a label. Names that begin with two underscores are its own.
	labelName = regexp.MustCompile(fmt.Sprintf(`^([A-Za-z]|_[A-Za-z0-9])[A-Za-z0-9_]{0,%d}$`, maxLabelName-2))
)

// reader reads the nodes of a file, and collects its faults.
type reader struct {
	path   string
	faults []lineFault
}

// lineFault is a fault of a line.
type lineFault struct {
	line int
	error
}

// all returns the faults in the order of their lines; nil: the file is right.
func (r *reader) all() (all []error) {
	slices.SortStableFunc(r.faults, func(a, b lineFault) int { return cmp.Compare(a.line, b.line) })
	for i, fault := range r.faults {
		if i == maxFaults {
			all = append(all, fmt.Errorf("%s: further faults: %d", r.path, len(r.faults)-maxFaults))
			break
		}
		all = append(all, fault.error)
	}
	return all
}

// fault adds a fault at the node's line. where is the path of its key, such as plans.free; empty: the file.
func (r *reader) fault(at *yaml.Node, where, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if where != "" {
		text = where + ": " + text
	}
	r.faults = append(r.faults, lineFault{at.Line, fmt.Errorf("%s:%d: %s", r.path, at.Line, text)})
}

// lineOf is how the library begins an error about the text.
var lineOf = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

// notYAML is the fault of a file that cannot be parsed.
func notYAML(path string, err error) error {
	text := err.Error()
	at := path
	if found := lineOf.FindStringSubmatch(text); found != nil {
		text = text[len(found[0]):]
		if found[1] != "" {
			at += ":" + found[1]
		}
	}
	return fmt.Errorf("%s: not YAML: %s; %s", at, text, example)
}

// entry is a key of a mapping with its value.
type entry struct {
	key   string
	node  *yaml.Node // of the key
	value *yaml.Node
}

// entries returns the keys of a mapping and their values, in the order of the file. A key that is repeated, or is not a
// text, is a fault.
func (r *reader) entries(node *yaml.Node, where, want string) (all []entry) {
	if node = resolved(node); node.Kind != yaml.MappingNode {
		r.fault(node, where, "is %s; write %s", kindOf(node), want)
		return nil
	}
	lines := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := resolved(node.Content[i]), node.Content[i+1]
		if key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str" {
			r.fault(key, where, "the key is %s; write a name, in quotation marks if it looks like a number", kindOf(key))
			continue
		}
		if line, twice := lines[key.Value]; twice {
			r.fault(key, within(where, key.Value), "is there twice, first in line %d; remove one", line)
			continue
		}
		lines[key.Value] = key.Line
		all = append(all, entry{key.Value, node.Content[i], value})
	}
	return all
}

// unknown adds the fault of an unknown key. known are those that it may be.
func (r *reader) unknown(e entry, where string, known ...string) {
	meant := "write " + strings.Join(known, ", ")
	if closest := spelling.Closest(e.key, known); closest != "" {
		meant = "did you mean " + closest + "?"
	}
	r.fault(e.node, within(where, e.key), "is unknown; %s", meant)
}

// file reads the whole file.
func (r *reader) file(root *yaml.Node) *pipeline.Plans {
	p := &pipeline.Plans{ByName: map[string]pipeline.Plan{}, Labels: map[string]map[string]string{}}
	var standard, all *entry
	for _, e := range r.entries(root, "", "default and plans") {
		switch e.key {
		case "default":
			standard = &e
		case "plans":
			all = &e
		default:
			r.unknown(e, "", "default", "plans")
		}
	}
	if root = resolved(root); root.Kind != yaml.MappingNode {
		return p
	}
	if all == nil {
		r.fault(root, "plans", "is missing; write plans: {free: {max_bytes: 1GiB, max_rows: 100000}}")
	} else {
		r.plans(all, p)
	}
	if standard == nil {
		r.fault(root, "default", "is missing; write the name of the plan of requests that name none")
		return p
	}
	name, ok := r.text(standard.value, "default", "the name of a plan")
	if _, exists := p.ByName[name]; ok && !exists && len(p.ByName) > 0 {
		r.fault(standard.value, "default", "there is no plan %s; write one of: %s", events.Quote(name),
			strings.Join(slices.Sorted(maps.Keys(p.ByName)), ", "))
	}
	p.Default = name
	return p
}

// plans reads the mapping of plans.
func (r *reader) plans(all *entry, p *pipeline.Plans) {
	before := len(r.faults)
	found := r.entries(all.value, "plans", "the plans by their names, such as {free: {max_bytes: 1GiB}}")
	if len(found) == 0 && len(r.faults) == before {
		r.fault(all.value, "plans", "is empty; write at least one plan, such as {free: {max_bytes: 1GiB}}")
	}
	if n := len(found); n > maxPlans {
		r.fault(all.value, "plans", "has %d plans; write at most %d", n, maxPlans)
	}
	for _, e := range found {
		if !planName.MatchString(e.key) {
			r.fault(e.node, "plans", "%s is not a name of 1 to %d of A–Z a–z 0–9 _ . -, the first a letter or a digit",
				events.Quote(e.key), pipeline.MaxPlanName)
		}
		p.ByName[e.key] = r.plan(e, p.Labels)
	}
}

// plan reads one plan.
func (r *reader) plan(e entry, labels map[string]map[string]string) pipeline.Plan {
	plan := pipeline.Plan{Name: e.key}
	where := within("plans", e.key)
	const want = "its limits, such as {max_bytes: 1GiB}, or {} for a plan without limits"
	for _, field := range r.entries(e.value, where, want) {
		at := within(where, field.key)
		switch value := resolved(field.value); field.key {
		case "max_bytes":
			plan.Limits.MaxBytes = r.limit(value, at, "a size such as 1073741824, 500MB or 1GiB", parseSize, "!!str")
		case "max_rows":
			plan.Limits.MaxRows = r.limit(value, at, "a whole number such as 100000", parseCount)
		case "labels":
			labels[e.key] = r.labels(value, at)
		default:
			r.unknown(field, where, "max_bytes", "max_rows", "labels")
		}
	}
	return plan
}

// limit reads a limit: a number, or a value of one of the other types.
func (r *reader) limit(
	node *yaml.Node, where, want string, parse func(string) (int64, error), other ...string,
) int64 {
	if node.Kind != yaml.ScalarNode || !slices.Contains(append(other, "!!int", "!!float"), node.ShortTag()) {
		r.fault(node, where, "is %s; write %s, or leave it out for no limit", kindOf(node), want)
		return 0
	}
	n, err := parse(node.Value)
	if err != nil {
		r.fault(node, where, "%s %s; write %s, or leave it out for no limit", events.Quote(node.Value), err, want)
	}
	return n
}

// labels reads the labels of a plan.
func (r *reader) labels(node *yaml.Node, where string) map[string]string {
	all := map[string]string{}
	found := r.entries(node, where, "texts by names, such as {tier: free}")
	if n := len(found); n > maxLabels {
		r.fault(node, where, "has %d labels; write at most %d", n, maxLabels)
	}
	for _, e := range found {
		if !labelName.MatchString(e.key) {
			r.fault(e.node, where, "%s is not a name of 1 to %d of A–Z a–z 0–9 _, the first not a digit, and not two "+
				"underscores", events.Quote(e.key), maxLabelName)
		}
		at := within(where, e.key)
		value, ok := r.text(e.value, at, "a text")
		if ok && (utf8.RuneCountInString(value) > maxLabelValue || strings.ContainsFunc(value, unicode.IsControl)) {
			r.fault(e.value, at, "is not 1 to %d characters without control characters; shorten it to one line", maxLabelValue)
		}
		all[e.key] = value
	}
	return all
}

// text reads a text that is not empty.
func (r *reader) text(node *yaml.Node, where, want string) (text string, ok bool) {
	node = resolved(node)
	switch {
	case node.Kind != yaml.ScalarNode || node.ShortTag() != "!!str":
		r.fault(node, where, "is %s; write %s, in quotation marks if it looks like a number", kindOf(node), want)
		return "", false
	case node.Value == "":
		r.fault(node, where, "is empty; write %s", want)
		return "", false
	}
	return node.Value, true
}

// resolved is the node that an alias stands for. What an anchor repeats keeps the line of the anchor.
func resolved(node *yaml.Node) *yaml.Node {
	if node.Kind == yaml.AliasNode {
		return node.Alias
	}
	return node
}

// plainKey matches the keys that a path has without quotation marks.
var plainKey = regexp.MustCompile(`^[A-Za-z0-9_-]{1,63}$`)

// within is the path of a key.
func within(where, key string) string {
	if !plainKey.MatchString(key) {
		key = events.Quote(key)
	}
	if where == "" {
		return key
	}
	return where + "." + key
}

// kindOf describes a node for people.
func kindOf(node *yaml.Node) string {
	switch node.Kind { //nolint:exhaustive // a scalar is described by its tag
	case yaml.MappingNode:
		return "a mapping"
	case yaml.SequenceNode:
		return "a list"
	}
	switch node.ShortTag() {
	case "!!null":
		return "empty"
	case "!!bool":
		return "a boolean"
	case "!!int", "!!float":
		return "a number"
	case "!!timestamp":
		return "a date"
	case "!!str":
		return "a text"
	case "!!merge":
		return "a merge key, which is not supported"
	}
	return "of the type " + node.Tag
}
