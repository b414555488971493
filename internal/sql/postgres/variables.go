package postgres

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"unicode"
)

// Variable is an environment variable of libpq: the default of a parameter of DATABASE_URL.
type Variable struct {
	Name, Parameter string
	byDriver        bool // the driver reads it; this package reads the others
}

// Variables are the variables of libpq that have an effect, by the order of their meaning: where to connect, as which
// role, and how. A test compares them with the driver's source.
var Variables = []Variable{
	{"PGHOST", "host", true},
	{"PGHOSTADDR", "hostaddr", false},
	{"PGPORT", "port", true},
	{"PGDATABASE", "database", true},
	{"PGUSER", "user", true},
	{"PGPASSWORD", "password", true},
	{"PGPASSFILE", "passfile", true},
	{"PGSERVICE", "service", true},
	{"PGSERVICEFILE", "servicefile", true},
	{"PGTARGETSESSIONATTRS", "target_session_attrs", true},
	{"PGCONNECT_TIMEOUT", "connect_timeout", true},
	{"PGAPPNAME", "application_name", true},
	{"PGOPTIONS", "options", true},
	{"PGTZ", "timezone", true},
	{"PGCHANNELBINDING", "channel_binding", true},
	{"PGREQUIREAUTH", "require_auth", true},
	{"PGREQUIREPEER", "requirepeer", false},
	{"PGMINPROTOCOLVERSION", "min_protocol_version", true},
	{"PGMAXPROTOCOLVERSION", "max_protocol_version", true},
	{"PGGSSENCMODE", "gssencmode", false},
	{"PGSSLMODE", "sslmode", true},
	{"PGSSLNEGOTIATION", "sslnegotiation", true},
	{"PGSSLROOTCERT", "sslrootcert", true},
	{"PGSSLCERT", "sslcert", true},
	{"PGSSLCERTMODE", "sslcertmode", true},
	{"PGSSLKEY", "sslkey", true},
	{"PGSSLPASSWORD", "sslpassword", true},
	{"PGSSLSNI", "sslsni", true},
	{"PGSSLCRL", "sslcrl", false},
	{"PGSSLCRLDIR", "sslcrldir", false},
	{"PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version", false},
	{"PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version", false},
}

// checkVariables returns the variables of libpq that hold more than one line, as files of secrets do.
func checkVariables() error {
	var faults []error
	for _, v := range Variables {
		if strings.ContainsFunc(os.Getenv(v.Name), unicode.IsControl) {
			faults = append(faults, fmt.Errorf("%s: contains a line break or another control character; write one line, "+
				"without a line break at its end", v.Name))
		}
	}
	return errors.Join(faults...)
}

// source names what a connection is configured by: DATABASE_URL and the variables of libpq that are set.
func source() string {
	names := []string{"DATABASE_URL"}
	for _, v := range Variables {
		if os.Getenv(v.Name) != "" {
			names = append(names, v.Name)
		}
	}
	return strings.Join(names, ", ")
}
