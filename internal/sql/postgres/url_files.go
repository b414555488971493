package postgres

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"

	"example.com/tenant-provisioner/internal/pipeline"
)

// checkFiles returns what is wrong with the files that the URL or the environment names, by parameter and path. The
// driver does not name them, and ignores a password file that it cannot read. It is an outage: files are replaced while
// the service runs, or waits for the server.
func (c Config) checkFiles() error {
	var faults []error
	check := func(name, variable string, valid func([]byte) bool) (path string) {
		path, from := c.parameter(name, variable)
		if path == "" || name == "sslrootcert" && path == "system" {
			return ""
		}
		content, err := os.ReadFile(path)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w", from, err))
		} else if !valid(content) {
			faults = append(faults, fmt.Errorf("%s: %s has no certificate or key in PEM", from, path))
		}
		return path
	}
	readable := func([]byte) bool { return true }
	mode, _ := c.parameter("sslmode", "PGSSLMODE")
	if mode != "disable" {
		check("sslrootcert", "PGSSLROOTCERT", x509.NewCertPool().AppendCertsFromPEM)
	}
	if certMode, _ := c.parameter("sslcertmode", "PGSSLCERTMODE"); mode != "disable" && certMode != "disable" {
		certificate, key := check("sslcert", "PGSSLCERT", isPEM), check("sslkey", "PGSSLKEY", isPEM)
		passphrase, _ := c.parameter("sslpassword", "PGSSLPASSWORD")
		if len(faults) == 0 && certificate != "" && key != "" && passphrase == "" {
			if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
				faults = append(faults, fmt.Errorf("DATABASE_URL: sslcert %s and sslkey %s are not a certificate and its key: %w",
					certificate, key, err))
			}
		}
	}
	check("passfile", "", readable) // the file of PGPASSFILE may be for other databases
	if service, _ := c.parameter("service", "PGSERVICE"); service != "" {
		check("servicefile", "PGSERVICEFILE", readable)
	}
	if len(faults) == 0 {
		return nil
	}
	return &pipeline.Fault{Class: pipeline.Outage, Shared: true, Lost: true, Err: errors.Join(faults...)}
}

func isPEM(content []byte) bool {
	block, _ := pem.Decode(content)
	return block != nil
}
