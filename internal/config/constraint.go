package config

import (
	"cmp"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// constraint is the set of allowed values of a variable, from the tags of its field. The reference is generated from
// the same tags, so that the two cannot differ:
//
//	min, max      bounds of a number, inclusive; min also of a duration
//	above         a lower bound of a duration, exclusive
//	oneof         words, separated by blanks
//	is            file: the path of an existing file; YAML file: a path, whose file is checked when it is read;
//	              directory: a path, which need not exist; host:port: an address
//	optional      true: empty is allowed too
//
// The default is always allowed.
type constraint struct {
	min, max, above, is string
	oneOf               []string
	optional            bool
	fallback            string
}

func constraintOf(tag reflect.StructTag, fallback string) constraint {
	return constraint{
		min: tag.Get("min"), max: tag.Get("max"), above: tag.Get("above"), is: tag.Get("is"),
		oneOf: strings.Fields(tag.Get("oneof")), optional: tag.Get("optional") == "true", fallback: fallback,
	}
}

// String formats the constraint for people, such as "1 to 5", "at least 100ms" or "text or json"; empty: no constraint.
func (c constraint) String() string {
	text := ""
	switch {
	case c.max != "":
		text = c.min + " to " + c.max
	case c.min != "":
		text = "at least " + c.min
	case c.above != "":
		text = "above " + c.above
	case c.is == "host:port":
		text = c.is + " (port 0 to 65535)"
	case c.is != "":
		text = "a " + c.is
	case len(c.oneOf) > 0:
		text = strings.Join(c.oneOf, " or ")
	}
	if c.optional {
		text += " or empty"
	}
	return text
}

// check returns an error if the value is not allowed; the error names the allowed values. An invalid tag panics: it is
// a mistake in the source, which the first start reveals.
func (c constraint) check(value reflect.Value) error {
	given := fmt.Sprint(value.Interface())
	if given == c.fallback || c.optional && given == "" {
		return nil
	}
	switch v := value.Interface().(type) {
	case time.Duration:
		if c.min != "" && v < mustDuration(c.min) || c.above != "" && v <= mustDuration(c.above) {
			return fmt.Errorf("%s must be %s", given, c)
		}
	case int:
		if c.max != "" && (v < mustInt(c.min) || v > mustInt(c.max)) {
			return fmt.Errorf("%s is not %s", given, c)
		}
	case string, ValueFile:
		if c.is == "file" {
			_, err := os.Stat(given)
			return err
		}
		if !c.allowsText(given) {
			return fmt.Errorf("%q is not %s", given, c)
		}
	}
	return nil
}

func (c constraint) allowsText(text string) bool {
	switch {
	case c.is == "host:port":
		return isHostPort(text)
	case c.is != "":
		return text != ""
	}
	return len(c.oneOf) == 0 || slices.Contains(c.oneOf, text)
}

// isHostPort reports whether a text is an address to listen on. Port 0 is a free one.
func isHostPort(text string) bool {
	host, port, err := net.SplitHostPort(text)
	_, errPort := strconv.ParseUint(port, 10, 16)
	return err == nil && errPort == nil && !strings.ContainsAny(host, "/ ")
}

func mustDuration(tag string) time.Duration {
	d, err := time.ParseDuration(tag)
	if err != nil {
		panic(err)
	}
	return d
}

func mustInt(tag string) int {
	n, err := strconv.Atoi(cmp.Or(tag, "0"))
	if err != nil {
		panic(err)
	}
	return n
}
