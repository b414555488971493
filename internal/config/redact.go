package config

import (
	"net/url"
	"regexp"
	"strings"
)

// redacted replaces secrets.
const redacted = "xxxxx"

var (
	natsUser     = regexp.MustCompile(`(^|,)(\s*(?:\w+://)?)[^,]*@`) // of each URL of a list: user, password or token
	natsRest     = regexp.MustCompile(`\?[^,]*`)                     // of each: the query, which the client ignores
	postgresPass = regexp.MustCompile(`(//[^:@/]*:).*@`)             // greedy: a password may contain an @
	anyUser      = regexp.MustCompile(`(//)[^/@\s]*@`)
)

// shownParameters are the parameters of DATABASE_URL that are shown. Any other may hold a secret, such as one with a
// mistyped name.
var shownParameters = map[string]bool{
	"application_name": true, "channel_binding": true, "connect_timeout": true, "dbname": true, "host": true,
	"idle_in_transaction_session_timeout": true, "idle_session_timeout": true, "lock_timeout": true, "passfile": true,
	"port": true, "search_path": true, "service": true, "servicefile": true, "sslcert": true, "sslkey": true,
	"sslmode": true, "sslnegotiation": true, "sslrootcert": true, "sslsni": true, "statement_timeout": true,
	"synchronous_commit": true, "target_session_attrs": true, "transaction_timeout": true, "user": true,
}

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

// redactParameters hides every parameter that is not in shownParameters. Case and escapes of its name do not matter.
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
		case err != nil || !shownParameters[strings.ToLower(plain)] && !strings.HasPrefix(plain, "pool_"):
			parameters[i] = name + "=" + redacted
		}
	}
	return address + "?" + strings.Join(parameters, "&")
}
