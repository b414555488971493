package handler

import (
	"cmp"
	"strings"

	"github.com/nats-io/nats.go/jetstream"
)

// APISubject returns the subject of an operation of the JetStream API, such as STREAM.INFO.name. In a domain it begins
// with $JS.DOMAIN.API, in a JetStream that is imported with the prefix of the import.
func APISubject(js jetstream.JetStream, operation string) string {
	options := js.Options()
	prefix := cmp.Or(options.APIPrefix, jetstream.DefaultAPIPrefix)
	if options.Domain != "" {
		prefix = "$JS." + options.Domain + ".API"
	}
	return strings.TrimSuffix(prefix, ".") + "." + operation
}

// APISubjectAtServer returns the subject of an operation as a server of the domain itself has it: the server maps the
// subjects of its domain before it checks permissions, and reports the mapped ones. (nats-server 2.15.2, parser.go)
func APISubjectAtServer(js jetstream.JetStream, operation string) string {
	if js.Options().Domain == "" {
		return APISubject(js, operation)
	}
	return jetstream.DefaultAPIPrefix + operation
}
