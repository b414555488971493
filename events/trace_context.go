package events

import (
	"regexp"
	"strings"
)

// The fields of W3C Trace Context, https://www.w3.org/TR/trace-context/, sections 3.2 and 3.3. A later version of
// traceparent may have more after the flags.
var (
	traceParentForm = regexp.MustCompile(`^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}(-[\x20-\x7e]*)?$`)
	traceStateForm  = regexp.MustCompile(`^[a-z0-9][a-z0-9_*/@-]{0,255}=` +
		`[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]$`)
)

const maxTraceStateMembers = 32

// traceContext returns the two fields, or "" for what an outcome must not pass on. A tracestate is useless without its
// traceparent. Neither is ever truncated.
func traceContext(parent, state string) (validParent, validState string) {
	switch {
	case len(parent) > maxText || !isTraceParent(parent):
		return "", ""
	case len(state) > maxText || !isTraceState(state):
		return parent, ""
	}
	return parent, state
}

func isTraceParent(s string) bool {
	const version0 = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" // the form of this version is exact
	if !traceParentForm.MatchString(s) {
		return false
	}
	version, traceID, spanID := s[:2], s[3:35], s[36:52]
	return version != "ff" && (version != "00" || len(s) == len(version0)) &&
		strings.Trim(traceID, "0") != "" && strings.Trim(spanID, "0") != ""
}

func isTraceState(s string) bool {
	members := 0
	for member := range strings.SplitSeq(s, ",") {
		if member = strings.Trim(member, " "); member == "" { // a tab is legal in W3C's header, but not in an attribute
			continue
		}
		if members++; members > maxTraceStateMembers || !traceStateForm.MatchString(member) {
			return false
		}
	}
	return members > 0
}
