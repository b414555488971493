package config

import (
	"log/slog"
	"reflect"
	"strings"
	"time"
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
	fields := reflect.VisibleFields(reflect.TypeFor[Config]())
	list := make([]variable, len(fields))
	for i, field := range fields {
		name, options, _ := strings.Cut(field.Tag.Get("env"), ",")
		_, fallback, _ := strings.Cut(options, "default=")
		list[i] = variable{
			name: name, fallback: fallback, kind: kind(field.Type),
			constraint: constraintOf(field.Tag, fallback),
			meaning:    field.Tag.Get("doc"), group: field.Tag.Get("group"), index: field.Index,
		}
	}
	return list
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
	case reflect.TypeFor[string]():
		return "a text"
	}
	return "a whole number"
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
