package config

import (
	"net/url"
	"regexp"
	"strings"

	"example.com/tenant-provisioner/internal/sql/postgres"
)

// redacted replaces secrets.
const redacted = "xxxxx"

var (
	natsUser     = regexp.MustCompile(`(^|,)(\s*(?:\w+://)?)[^,]*@`) // of each URL of a list: user, password or token
	natsRest     = regexp.MustCompile(`\?[^,]*`)                     // of each: the query, which the client ignores
	postgresPass = regexp.MustCompile(`(//[^:@/]*:).*@`)             // greedy: a password may contain an @
	anyUser      = regexp.MustCompile(`(//)[^/@\s]*@`)
)

// Redact removes secrets from the value of a variable. For a variable that it does not know, it hides headers entirely,
// and the user part of URLs.
func Redact(name, text string) string {
	switch {
	case name == "NATS_URL":
		return natsRest.ReplaceAllString(natsUser.ReplaceAllString(text, "${1}${2}"+redacted+"@"), "?"+redacted)
	case name == "DATABASE_URL":
		return redactParameters(postgresPass.ReplaceAllString(text, "${1}"+redacted+"@"))
	case strings.HasSuffix(name, "_HEADERS") && text != "":
		return redacted
	}
	return anyUser.ReplaceAllString(text, "${1}"+redacted+"@")
}

// redactParameter hides the value of a parameter that may hold a secret.
func redactParameter(name, value string) string {
	if !postgres.ShowsParameter(name) {
		return redacted
	}
	return value
}

// redactParameters hides every parameter of DATABASE_URL that is not known to hold no secret. Case and escapes of its
// name do not matter.
func redactParameters(text string) string {
	address, query, found := strings.Cut(text, "?")
	if !found {
		return text
	}
	parameters := strings.Split(query, "&")
	for i, p := range parameters {
		name, _, found := strings.Cut(p, "=")
		plain, err := url.QueryUnescape(name)
		switch {
		case !found: // possibly the rest of a value
			parameters[i] = redacted
		case err != nil || !postgres.ShowsParameter(plain):
			parameters[i] = name + "=" + redacted
		}
	}
	return address + "?" + strings.Join(parameters, "&")
}
