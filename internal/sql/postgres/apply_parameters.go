package postgres

import (
	"cmp"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
)

// applyParameters takes from the settings of the session what is not for the server: the driver sends it every
// parameter that it does not know itself, of the URL and of a service file. It returns all faults.
func applyParameters(conn *pgx.ConnConfig) error {
	settings := conn.RuntimeParams
	conn.RuntimeParams = map[string]string{}
	var faults []error
	from := map[string]string{}
	for _, v := range Variables {
		value := os.Getenv(v.Name)
		if _, set := settings[v.Parameter]; !v.byDriver && !set && value != "" {
			settings[v.Parameter], from[v.Parameter] = value, v.Name
		}
	}
	for name, value := range settings {
		row, err := checkParameter(name, value)
		switch {
		case err != nil:
		case row == nil, row.use == forSession:
			conn.RuntimeParams[strings.ToLower(name)] = value
		case row.use == forService:
			err = applyParameter(conn, strings.ToLower(name), value)
		}
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", cmp.Or(from[name], "DATABASE_URL"), err))
		}
	}
	if name := settings["fallback_application_name"]; name != "" {
		setDefault(conn.RuntimeParams, "application_name", name)
	}
	slices.SortFunc(faults, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(faults...)
}

// versionsOfTLS are the values of ssl_min_protocol_version and ssl_max_protocol_version; empty: no limit.
var versionsOfTLS = map[string]uint16{
	"": 0, "tlsv1": tls.VersionTLS10, "tlsv1.1": tls.VersionTLS11, "tlsv1.2": tls.VersionTLS12,
	"tlsv1.3": tls.VersionTLS13,
}

// applyParameter applies a parameter that is for this package.
func applyParameter(conn *pgx.ConnConfig, name, value string) error {
	switch name {
	case "hostaddr":
		return applyAddresses(conn, value)
	case "ssl_min_protocol_version", "ssl_max_protocol_version":
		version, known := versionsOfTLS[strings.ToLower(value)]
		if !known {
			return fmt.Errorf("parameter %s: %q is not TLSv1, TLSv1.1, TLSv1.2 or TLSv1.3", name, value)
		}
		for _, c := range append([]*tls.Config{conn.TLSConfig}, tlsOfFallbacks(conn)...) {
			switch {
			case c == nil:
			case name == "ssl_min_protocol_version":
				c.MinVersion = version
			default:
				c.MaxVersion = version
			}
		}
	}
	return nil
}

func tlsOfFallbacks(conn *pgx.ConnConfig) (all []*tls.Config) {
	for _, f := range conn.Fallbacks {
		all = append(all, f.TLSConfig)
	}
	return all
}

// applyAddresses makes the connection use these addresses, separated by commas, one for each host. The hosts are only
// compared with the server's certificate. An empty address is looked up.
func applyAddresses(conn *pgx.ConnConfig, list string) error {
	addresses, hosts := strings.Split(list, ","), hostsOf(conn)
	if len(hosts) == 1 { // or one that is named several times
		hosts = slices.Repeat(hosts, len(addresses))
	}
	if len(addresses) != len(hosts) {
		return fmt.Errorf("parameter hostaddr: name one address for each host: %d for %d", len(addresses), len(hosts))
	}
	known := map[string][]string{}
	for i, address := range addresses {
		switch {
		case address == "":
		case net.ParseIP(address) == nil:
			return fmt.Errorf("parameter hostaddr: %q is not an IP address", address)
		case filepath.IsAbs(hosts[i].name):
			return errors.New("parameter hostaddr: name the host too; its certificate is checked by the name")
		default:
			known[hosts[i].name] = append(known[hosts[i].name], address)
		}
	}
	conn.LookupFunc = lookUpKnown(known, lookUp)
	return nil
}

// hostPort is a host of the URL. The name of a socket is its directory.
type hostPort struct {
	name string
	port uint16
}

// entriesOf returns what the driver tries in this order: each host of the URL, and twice where sslmode permits a
// connection with and without TLS.
func entriesOf(conn *pgx.ConnConfig) []hostPort {
	all := []hostPort{{conn.Host, conn.Port}}
	for _, f := range conn.Fallbacks {
		all = append(all, hostPort{f.Host, f.Port})
	}
	return all
}

// hostsOf returns the hosts of the URL in their order.
func hostsOf(conn *pgx.ConnConfig) []hostPort { return slices.Compact(entriesOf(conn)) }
