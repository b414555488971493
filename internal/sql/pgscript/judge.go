package pgscript

import (
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
)

// judge walks a parsed text, and collects what a script may not have.
type judge struct {
	place
	*faults
	at     int  // offset of the node that is judged, in bytes
	before int  // bytes in front of the text that were added to parse it
	inBody bool // the text is, or is in, the body of a function or of DO
}

// within judges a body in the same script, or a text in it.
func (j *judge) within(p place) *judge { return &judge{place: p, faults: j.faults, inBody: true} }

// refuse reports a fault at the node that is judged.
func (j *judge) refuse(format string, args ...any) { j.refuseAt(j.at-j.before, format, args...) }

func (j *judge) refuseAt(offset int, format string, args ...any) {
	j.faults.add(j.lineAt(offset), format, args...)
}

// fields are the fields of a node of the grammar, by PostgreSQL's names. What is false, 0 or empty is left out.
type fields map[string]any

func (f fields) text(name string) string   { s, _ := f[name].(string); return s }
func (f fields) flag(name string) bool     { b, _ := f[name].(bool); return b }
func (f fields) number(name string) int    { n, _ := f[name].(float64); return int(n) }
func (f fields) list(name string) []any    { l, _ := f[name].([]any); return l }
func (f fields) fields(name string) fields { m, _ := f[name].(map[string]any); return m }

// typed separates a node of the form {"Type": {fields}}. typ is empty if the node is something else: fields of one
// possible type only are written without it.
func typed(node any) (typ string, f fields) {
	m, _ := node.(map[string]any)
	if len(m) != 1 {
		return "", nil
	}
	for key, value := range m {
		if inner, ok := value.(map[string]any); ok && unicode.IsUpper(rune(key[0])) {
			return key, inner
		}
	}
	return "", nil
}

// stringsOf are the texts of a list of String nodes; nil if it has anything else.
func stringsOf(list []any) []string {
	var texts []string
	for _, item := range list {
		typ, f := typed(item)
		if typ != "String" {
			return nil
		}
		texts = append(texts, f.text("sval"))
	}
	return texts
}

// node judges a node and all below it.
func (j *judge) node(node any) {
	switch n := node.(type) {
	case []any:
		for _, item := range n {
			j.node(item)
		}
	case map[string]any:
		if typ, f := typed(n); typ != "" {
			j.typedNode(typ, f)
		} else {
			j.fieldsOf("", n)
		}
	}
}

func (j *judge) typedNode(typ string, f fields) {
	defer func(at int) { j.at = at }(j.at)
	if at, ok := f["location"].(float64); ok && at >= 0 {
		j.at = int(at)
	}
	switch {
	case strings.HasSuffix(typ, "Stmt"):
		rule, known := statements[typ]
		switch {
		case !known:
			j.refuse("%s is a statement that this version does not know; write it in another way", typ)
			return
		case rule.refused != "":
			j.refuse("%s", rule.refused)
			return
		case rule.judge != nil:
			rule.judge(j, f)
			return
		}
	case typ == "FuncCall":
		j.call(f)
	case typ == "TypeCast":
		j.cast(f)
	case typ == "List":
		j.name(stringsOf(f.list("items")))
	case typ == "DefElem" && f.text("defname") == "owned_by":
		_, list := typed(f["arg"])
		j.name(withoutLast(stringsOf(list.list("items"))))
		return
	}
	j.fieldsOf(typ, f)
}

// qualified are the fields that hold a name as a list of its parts.
var qualified = map[string]bool{
	"cfgname": true, "collname": true, "defnames": true, "dictname": true, "domainname": true, "funcname": true,
	"name": true, "objname": true, "opclass": true, "opclassname": true, "operName": true, "opfamilyname": true,
	"typeName": true, "useOp": true,
}

// fieldsOf judges the fields of a node, in the order of their names.
func (j *judge) fieldsOf(typ string, f fields) {
	defer func(at int) { j.at = at }(j.at)
	if at, ok := f["location"].(float64); ok && at >= 0 {
		j.at = int(at)
	}
	switch {
	case f.text("relname") != "" && f.text("relpersistence") != "": // a RangeVar
		j.relation(f)
	case f["names"] != nil: // a TypeName
		parts := stringsOf(f.list("names"))
		if f.flag("pct_type") {
			parts = withoutLast(parts)
		}
		j.name(parts)
	case f.flag("concurrent"):
		j.refuse("%s", concurrently)
	}
	for _, field := range slices.Sorted(maps.Keys(f)) {
		if list := f.list(field); list != nil && qualified[field] {
			j.name(stringsOf(list))
		}
		if typ != "A_Const" {
			j.node(f[field])
		}
	}
}

const concurrently = "CONCURRENTLY cannot run in a transaction; delete the word: a new tenant has no other users"

// relation judges the name of a table, view, sequence or index.
func (j *judge) relation(f fields) {
	if f.text("relpersistence") == "t" {
		j.refuse("a temporary object outlives the transaction in its connection; use WITH, or a table that you drop")
		return
	}
	j.name(nonEmpty(f.text("catalogname"), f.text("schemaname"), f.text("relname")))
}

func nonEmpty(texts ...string) []string {
	return slices.DeleteFunc(texts, func(s string) bool { return s == "" })
}

func withoutLast(parts []string) []string { return parts[:max(len(parts)-1, 0)] }

// name judges a name by its parts: [[database.]schema.]name.
func (j *judge) name(parts []string) {
	switch n := len(parts); {
	case n < 2:
	case n > 2:
		j.refuse("%s names a database; write %s alone", strings.Join(parts, "."), written(parts[n-1]))
	case strings.HasPrefix(parts[0], "pg_temp"):
		j.refuse("%s is a temporary object; use WITH, or a table that you drop", strings.Join(parts, "."))
	case parts[0] != "pg_catalog" && parts[0] != "information_schema" && !isComputed(parts[0]):
		j.refuse("%s is outside of the tenant's schema; write %s alone: scripts run in that schema",
			strings.Join(parts, "."), written(parts[1]))
	}
}

// plainName is a name that needs no quotes. Keywords are left aside.
var plainName = regexp.MustCompile(`^[a-z_][a-z0-9_$]*$`)

// written is a name as a script writes it.
func written(name string) string {
	if plainName.MatchString(name) {
		return name
	}
	return `"` + strings.ReplaceAll(name, `"`, `""`) + `"`
}
