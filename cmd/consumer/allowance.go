package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// allowance says what a variable may be, in the words that the reference has too, so that the two cannot differ:
//
//	1 to 1000            a whole number, bounds included
//	above 0s             a duration; or: at least 100ms
//	a file               the path of a file that is there
//	a directory          the path of one, which may be made
//	host:port            an address
//	text or json         one of these words
//
// With "or empty" behind it, nothing is allowed as well. The default is always allowed.
type allowance struct {
	text   string
	always string
}

// errAllowance is a tag that nothing here understands.
var errAllowance = errors.New("the tag allowed is not understood")

// judge returns why a value is not allowed, with what is.
func (a allowance) judge(value reflect.Value) error {
	text, orEmpty := strings.CutSuffix(a.text, " or empty")
	given := fmt.Sprint(value.Interface())
	ok, err := a.allows(text, value)
	switch {
	case errors.Is(err, errAllowance): // whatever the value: who writes such a tag is to see it
		return fmt.Errorf("%w: %q", err, a.text)
	case given == a.always || orEmpty && given == "":
		return nil
	case err != nil:
		return err
	case !ok && value.Kind() == reflect.String:
		return fmt.Errorf("%q is not %s", given, a.text)
	case !ok && value.Type() == reflect.TypeFor[time.Duration]():
		return fmt.Errorf("%s must be %s", given, a.text)
	case !ok:
		return fmt.Errorf("%s is not %s", given, a.text)
	}
	return nil
}

func (a allowance) allows(text string, value reflect.Value) (bool, error) {
	given, _ := value.Interface().(string)
	switch text {
	case "":
		return true, nil
	case "a file":
		if given == "" {
			return false, nil
		}
		_, err := os.Stat(given)
		return true, err
	case "a directory":
		return given != "", nil
	case "host:port":
		_, _, err := net.SplitHostPort(given)
		return err == nil, nil
	}
	if d, ok := value.Interface().(time.Duration); ok {
		return withinDuration(text, d)
	}
	if value.Kind() == reflect.Int {
		return withinRange(text, value.Int())
	}
	words := strings.Split(text, " or ")
	if len(words) < 2 || strings.Contains(strings.Join(words, ""), " ") {
		return false, errAllowance
	}
	return slices.Contains(words, given), nil
}

func withinDuration(text string, d time.Duration) (bool, error) {
	isAbove := strings.HasPrefix(text, "above ")
	isLeast := strings.HasPrefix(text, "at least ")
	switch bound, err := time.ParseDuration(text[strings.LastIndexByte(text, ' ')+1:]); {
	case err != nil || isAbove == isLeast:
		return false, errAllowance
	case isAbove:
		return d > bound, nil
	default:
		return d >= bound, nil
	}
}

func withinRange(text string, n int64) (bool, error) {
	low, high, _ := strings.Cut(text, " to ")
	least, err1 := strconv.ParseInt(low, 10, 64)
	most, err2 := strconv.ParseInt(high, 10, 64)
	if err1 != nil || err2 != nil {
		return false, errAllowance
	}
	return least <= n && n <= most, nil
}
