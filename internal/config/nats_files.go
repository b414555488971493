package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/nats-io/nkeys"
)

// checkNATSFiles checks the credential and certificate files before the client does, which would connect to the first
// server and name no variable. Errors do not contain the files' contents.
func (c *Config) checkNATSFiles() error {
	var faults []error
	if (c.NATSTLSCert == "") != (c.NATSTLSKey == "") {
		faults = append(faults, errors.New("NATS_TLS_CERT and NATS_TLS_KEY: set both or neither"))
	}
	check := func(name, path string, isOne func([]byte) bool, what string) {
		if path == "" {
			return
		}
		content, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the tag is:"file" has reported it
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", name, err))
		case !isOne(content):
			faults = append(faults, fmt.Errorf("%s: %s is not %s", name, path, what))
		}
	}
	check("NATS_CREDS", c.NATSCreds, isCreds, "a credentials file as nsc generates it")
	check("NATS_TLS_CA", c.NATSTLSCA, x509.NewCertPool().AppendCertsFromPEM, "a file of certificates (PEM)")
	readable := func([]byte) bool { return true }
	check("NATS_TLS_CERT", c.NATSTLSCert, readable, "")
	check("NATS_TLS_KEY", c.NATSTLSKey, readable, "")
	if len(faults) == 0 && c.NATSTLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.NATSTLSCert, c.NATSTLSKey); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults,
				fmt.Errorf("NATS_TLS_CERT and NATS_TLS_KEY are not a certificate and its key (PEM): %w", err))
		}
	}
	return errors.Join(faults...)
}

func isCreds(content []byte) bool {
	_, errJWT := nkeys.ParseDecoratedJWT(content)
	_, errKey := nkeys.ParseDecoratedUserNKey(content)
	return errJWT == nil && errKey == nil
}
