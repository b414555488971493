package config

import (
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/sethvargo/go-envconfig"

	"example.com/tenant-provisioner/internal/spelling"
)

// variable is one environment variable, from the tags of its field in [Config].
type variable struct {
	name       string
	fallback   string // its default; empty: none
	kind       string // the form of a value, such as "true or false"
	constraint constraint
	meaning    string
	group      string // the section that begins with it; empty: no section begins
	index      []int  // of the field
}

// variables lists all variables in the order of the fields.
func variables() []variable {
	var list []variable
	for _, field := range reflect.VisibleFields(reflect.TypeFor[Config]()) {
		if !field.IsExported() {
			continue
		}
		name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
		_, fallback, _ := strings.Cut(options, "default=")
		list = append(list, variable{
			name: name, fallback: fallback, kind: kind(field.Type),
			constraint: constraintOf(field.Tag, fallback),
			meaning:    field.Tag.Get("doc"), group: field.Tag.Get("group"), index: field.Index,
		})
	}
	return list
}

// lookup returns the variable with its value, without what files of secrets and shells leave around it; nothing: its
// default counts. The error is about the form of the text, and does not contain it.
func (v variable) lookup(env envconfig.Lookuper) (given map[string]string, err error) {
	text, set := env.Lookup(v.name)
	text, err = plain(text)
	if !set || text == "" && !v.constraint.optional {
		return nil, err
	}
	return map[string]string{v.name: text}, err
}

// kind describes a value of that type.
func kind(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[time.Duration]():
		return "a duration such as 500ms, 30s or 5m"
	case reflect.TypeFor[slog.Level]():
		return "debug, info, warn or error"
	case reflect.TypeFor[bool]():
		return "true or false"
	case reflect.TypeFor[string](), reflect.TypeFor[ValueFile]():
		return "a text"
	}
	return "a whole number"
}

// form describes a value of the type, and the constraint.
func (v variable) form() string {
	if allowed := v.constraint.String(); allowed != "" {
		return v.kind + ", " + allowed
	}
	return v.kind
}

// values describes the allowed values: the constraint or, without one, the values of the type.
func (v variable) values() string {
	switch {
	case v.constraint.String() != "":
		return v.constraint.String()
	case v.kind == kind(reflect.TypeFor[string]()):
		return ""
	}
	return v.kind
}

// Misspelling is a variable of the environment that nothing reads, and the one that was probably meant.
type Misspelling struct{ Name, Meant string }

// ofOthers are variables of other programs with names that resemble ours: the nats CLI reads NATS_KEY, the private key
// of a client certificate.
var ofOthers = []string{"NATS_KEY"}

func namesOf(list []variable) (names []string) {
	for _, v := range list {
		names = append(names, v.name)
	}
	return names
}

// Misspelled returns the variables whose names resemble those of this program. environ is as [os.Environ] returns it.
func Misspelled(environ []string) (list []Misspelling) {
	known := namesOf(variables())
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		if meant := spelling.Closest(name, known); meant != "" && value != "" && !slices.Contains(known, name) &&
			!slices.Contains(ofOthers, name) {
			list = append(list, Misspelling{name, meant})
		}
	}
	slices.SortFunc(list, func(a, b Misspelling) int { return strings.Compare(a.Name, b.Name) })
	return list
}
