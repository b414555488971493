package events

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// rfc3339 is stricter than package time, which accepts a comma, one-digit hours and zone offsets of any size.
var rfc3339 = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]([01]\d|2[0-3]):[0-5]\d)$`)

// parseTime parses an RFC 3339 time, in either case, and returns it in UTC. It rejects times whose year in UTC does not
// have four digits. A leap second becomes the second after it, as in POSIX: package time has none.
func parseTime(s string) (time.Time, error) {
	const secondAt = len("2006-01-02T15:04")
	upper := strings.ToUpper(s)
	leap := len(upper) > secondAt && strings.HasPrefix(upper[secondAt:], ":60")
	if leap {
		upper = upper[:secondAt] + ":59" + upper[secondAt+len(":60"):]
	}
	t, err := time.Parse(time.RFC3339Nano, upper)
	t = t.UTC()
	if leap {
		t = t.Add(time.Second)
	}
	switch {
	case err != nil || !rfc3339.MatchString(upper) || t.Year() < 0 || t.Year() > 9999:
		return time.Time{}, fmt.Errorf("%s is not an RFC 3339 time such as 2006-01-02T15:04:05Z", Quote(s))
	case leap && (t.Day() != 1 || t.Hour() != 0 || t.Minute() != 0):
		return time.Time{}, fmt.Errorf("%s is not an RFC 3339 time: only the last minute of a month, in UTC, "+
			"has a leap second", Quote(s))
	}
	return t, nil
}

// verbatimURL parses a URI reference so that String returns s unchanged. net/url alone would normalise it (escape
// spaces, lower the scheme, drop an empty fragment), and two different sources could become equal.
func verbatimURL(s string) (url.URL, error) {
	u, err := url.Parse(s)
	if err != nil {
		return url.URL{}, fmt.Errorf("%s is not a URI reference", Quote(s))
	}
	if u.String() == s {
		return *u, nil
	}
	scheme, rest := s[:len(u.Scheme)], s
	if scheme != "" {
		rest = s[len(scheme)+1:]
	}
	return url.URL{Scheme: scheme, Opaque: rest}, nil
}

// checkName applies the naming rule of attributes: a–z and 0–9. data is not an attribute.
func checkName(name string) error {
	legal := name != "" && name != "data"
	for _, c := range name {
		legal = legal && ('a' <= c && c <= 'z' || '0' <= c && c <= '9')
	}
	if !legal {
		return fmt.Errorf("%s is not an attribute name; use a–z and 0–9", Quote(name))
	}
	return nil
}

// checkText applies the rule of the CloudEvents type String.
func checkText(s string) error {
	if !utf8.ValidString(s) {
		return errors.New("is not UTF-8")
	}
	for _, r := range s {
		switch {
		case unicode.IsControl(r):
			return fmt.Errorf("%s holds the control character %U", Quote(s), r)
		case r&0xFFFE == 0xFFFE || 0xFDD0 <= r && r <= 0xFDEF:
			return fmt.Errorf("%s holds the noncharacter %U", Quote(s), r)
		}
	}
	return nil
}
