package handler

import (
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// rule says which values of one setting of a stream or consumer the contract permits. It has exactly one of harmless,
// equal and must.
type rule[C any] struct {
	harmless string // the reason why any value is
	equal    bool   // the value is that of the contract, which for most settings is: not set
	// must returns the required value if got contradicts the contract, else "". want has the contract's values.
	must    func(got, want C) string
	because string // what a contradiction leads to
	// correct sets the contract's value. Only settings that can be changed without a loss have it.
	correct func(got *C, want C)
}

// rules are the rules of all settings, by the names that the server and the nats CLI use.
type rules[C any] map[string]rule[C]

// check returns an error of type [contradictions] that names every setting of got that contradicts want.
func (r rules[C]) check(got, want C) error {
	var found contradictions
	is, should := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range is.NumField() {
		name := settingName(is.Type().Field(i))
		this := r[name]
		if required := this.required(got, want, is.Field(i), should.Field(i)); required != "" {
			found = append(found,
				fmt.Sprintf("%s is %s, must be %s: %s", name, settingText(is.Field(i)), required, this.because))
		}
	}
	if len(found) == 0 {
		return nil
	}
	return found
}

// required returns the value that the setting must have if it contradicts the contract, else "". is and should are its
// values in got and want.
func (r rule[C]) required(got, want C, is, should reflect.Value) string {
	switch {
	case r.equal && !sameSetting(is, should):
		return settingText(should)
	case r.must != nil:
		return r.must(got, want)
	}
	return ""
}

// corrected returns got with the contract's values of the settings that may be changed without a loss, and what it has
// changed: of all, or only of those that contradict the contract.
func (r rules[C]) corrected(got, want C, all bool) (fixed C, changes []string) {
	fixed = got
	is, should := reflect.ValueOf(got), reflect.ValueOf(want)
	for i := range is.NumField() {
		this := r[settingName(is.Type().Field(i))]
		if this.correct != nil && (all || this.required(got, want, is.Field(i), should.Field(i)) != "") {
			this.correct(&fixed, want)
		}
	}
	should = reflect.ValueOf(fixed)
	for i := range is.NumField() {
		if !sameSetting(is.Field(i), should.Field(i)) {
			changes = append(changes, fmt.Sprintf("%s from %s to %s",
				settingName(is.Type().Field(i)), settingText(is.Field(i)), settingText(should.Field(i))))
		}
	}
	return fixed, changes
}

// settingName is the name of a field in JSON.
func settingName(field reflect.StructField) string {
	name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
	return name
}

// sameSetting reports whether two values are equal. An empty list equals a missing one, and order does not count in
// lists of subjects.
func sameSetting(a, b reflect.Value) bool {
	if a.Kind() == reflect.Slice && a.Len() == 0 && b.Len() == 0 {
		return true
	}
	if x, ok := a.Interface().([]string); ok {
		y, _ := b.Interface().([]string)
		return slices.Equal(slices.Sorted(slices.Values(x)), slices.Sorted(slices.Values(y)))
	}
	return reflect.DeepEqual(a.Interface(), b.Interface())
}

// settingText is a value as a message shows it: a structure as JSON, all others as Go prints them.
func settingText(v reflect.Value) string {
	kinds := []reflect.Kind{reflect.Pointer, reflect.Struct}
	if v.IsZero() && slices.Contains(append(kinds, reflect.String, reflect.Slice), v.Kind()) {
		return "unset"
	}
	of := v.Type()
	if of.Kind() == reflect.Slice {
		of = of.Elem()
	}
	if text, err := json.Marshal(v.Interface()); err == nil && slices.Contains(kinds, of.Kind()) {
		return string(text)
	}
	return fmt.Sprint(v.Interface())
}

// contradictions are settings that contradict the contract, each with the value that it must have.
type contradictions []string

// Error joins all of them in one line, because the caller adds the name of the stream as a prefix.
func (c contradictions) Error() string { return strings.Join(c, "; ") }

// isContradiction reports whether streams or consumer are not as the contract says, so that the service must not work
// on them. Otherwise they could not be read.
func isContradiction(err error) bool {
	_, found := errors.AsType[contradictions](err)
	_, other := errors.AsType[*OtherRegistryError](err)
	return found || other || errors.Is(err, ErrMissing) || errors.Is(err, errRemoved)
}
