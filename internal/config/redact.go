package config

import (
	"net/url"
	"regexp"
	"strings"
)

// redacted stands for what is not shown.
const redacted = "xxxxx"

var (
	natsUser     = regexp.MustCompile(`(^|,)(\s*(?:\w+://)?)[^,]*@`) // of each URL of a list: user, password or token
	natsRest     = regexp.MustCompile(`\?[^,]*`)                     // of each: the client makes nothing of it
	postgresPass = regexp.MustCompile(`(//[^:@/]*:).*@`)             // greedy: a password may hold an @
	anyUser      = regexp.MustCompile(`(//)[^/@\s]*@`)
)

// shownParameters are those of DATABASE_URL that are shown. All others may hold a secret, such as one whose name
// is mistyped.
var shownParameters = map[string]bool{
	"application_name": true, "channel_binding": true, "connect_timeout": true, "dbname": true, "host": true,
	"idle_in_transaction_session_timeout": true, "lock_timeout": true, "passfile": true, "port": true,
	"search_path": true, "service": true, "servicefile": true, "sslcert": true, "sslkey": true, "sslmode": true,
	"sslnegotiation": true, "sslrootcert": true, "sslsni": true, "statement_timeout": true, "synchronous_commit": true,
	"target_session_attrs": true, "user": true,
}

// Redact removes secrets from the value of a variable. What a later variable holds is not known here: of headers
// nothing is shown, and of URLs no user.
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

// redactParameters hides what is not known to be no secret, however its name is written.
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
		case !found: // the rest of a value, perhaps
			parameters[i] = redacted
		case err != nil || !shownParameters[strings.ToLower(plain)] && !strings.HasPrefix(plain, "pool_"):
			parameters[i] = name + "=" + redacted
		}
	}
	return address + "?" + strings.Join(parameters, "&")
}
