package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/nats-io/nkeys"
)

// checkNATSFiles checks the credential and certificate files before the client does, which would connect to the first
// server and name no variable. Errors do not contain the files' contents.
func (c *Config) checkNATSFiles() error {
	var faults []error
	if (c.NATSTLSCert == "") != (c.NATSTLSKey == "") {
		faults = append(faults, errors.New("NATS_TLS_CERT and NATS_TLS_KEY: set both or neither"))
	}
	check := func(name, path string, fault func([]byte) string) {
		if path == "" {
			return
		}
		content, err := os.ReadFile(path)
		switch {
		case errors.Is(err, fs.ErrNotExist): // the tag is:"file" has reported it
		case err != nil:
			faults = append(faults, fmt.Errorf("%s: %w", c.named(name), err))
		case fault(content) != "":
			faults = append(faults, fmt.Errorf("%s: %s is %s", c.named(name), path, fault(content)))
		}
	}
	check("NATS_CREDS", c.NATSCreds, credsFault)
	check("NATS_NKEY", c.NATSNkey, seedFault)
	check("NATS_TLS_CA", c.NATSTLSCA, certificatesFault)
	readable := func([]byte) string { return "" }
	check("NATS_TLS_CERT", c.NATSTLSCert, readable)
	check("NATS_TLS_KEY", c.NATSTLSKey, readable)
	if len(faults) == 0 && c.NATSTLSCert != "" {
		if _, err := tls.LoadX509KeyPair(c.NATSTLSCert, c.NATSTLSKey); err != nil && !errors.Is(err, fs.ErrNotExist) {
			faults = append(faults,
				fmt.Errorf("NATS_TLS_CERT and NATS_TLS_KEY are not a certificate and its key (PEM): %w", err))
		}
	}
	return errors.Join(faults...)
}

func certificatesFault(content []byte) string {
	if x509.NewCertPool().AppendCertsFromPEM(content) {
		return ""
	}
	return "not a file of certificates (PEM)"
}

// credsFault says what a file is that should have credentials.
func credsFault(content []byte) string {
	switch {
	case isCreds(content):
		return ""
	case seedFault(content) == "":
		return "the seed of an nkey, without a JWT; set NATS_NKEY to it instead"
	}
	return "not a credentials file as nsc generates it"
}

// seedFault says what a file is that should have the seed of a user's nkey.
func seedFault(content []byte) string {
	_, errUser := nkeys.ParseDecoratedUserNKey(content)
	_, errAny := nkeys.ParseDecoratedNKey(content)
	switch {
	case isCreds(content):
		return "a credentials file; set NATS_CREDS to it instead"
	case errUser == nil:
		return ""
	case errAny == nil:
		return "the seed of an account or of an operator; write that of a user, which begins with SU"
	case nkeys.IsValidPublicKey(strings.TrimSpace(string(content))):
		return "a public key; write the seed that belongs to it, which begins with SU"
	}
	return "not the seed of a user's nkey (SU…), as nk -gen user generates it"
}

// isCreds reports whether a file has a JWT and a seed. The parser returns a text without headers as it is.
func isCreds(content []byte) bool {
	token, errJWT := nkeys.ParseDecoratedJWT(content)
	_, errKey := nkeys.ParseDecoratedUserNKey(content)
	return errJWT == nil && errKey == nil && strings.Count(strings.TrimSpace(token), ".") == 2
}
