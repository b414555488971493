package doctor

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/jwt/v2"
	"github.com/nats-io/nkeys"

	"example.com/tenant-provisioner/internal/config"
)

// expiry is when a file of credentials ends.
type expiry struct {
	what string
	at   time.Time
}

// checkCredentials judges when the credentials and certificates that the service logs in with expire. The password of a
// role is database_password.
func checkCredentials(c config.Config, now time.Time) Finding {
	const name = "credentials_expiry"
	all := expiries(c)
	if len(all) == 0 {
		return ok(name, "no file of credentials or certificates that expires is configured")
	}
	slices.SortStableFunc(all, func(a, b expiry) int { return a.at.Compare(b.at) })
	var expired, soon []string
	for _, e := range all {
		switch left := e.at.Sub(now); {
		case left <= 0:
			expired = append(expired, fmt.Sprintf("%s has expired on %s", e.what, date(e.at)))
		case left < expiryNotice:
			soon = append(soon, fmt.Sprintf("%s expires on %s, in %s", e.what, date(e.at), remaining(left)))
		}
	}
	const hint = "replace the files; the service reads them again for each new connection"
	switch {
	case len(expired) > 0:
		return fault(name, hint, "%s: new connections fail", strings.Join(append(expired, soon...), "; "))
	case len(soon) > 0:
		return warning(name, hint, "%s: new connections then fail", strings.Join(soon, "; "))
	}
	return ok(name, "the first to expire is %s, on %s, in %s", all[0].what, date(all[0].at), remaining(all[0].at.Sub(now)))
}

// expiries are those of all files that expire. A file that cannot be read is a fault of the configuration.
func expiries(c config.Config) (all []expiry) {
	if at, expires := userExpiry(c.NATSCreds); expires {
		all = append(all, expiry{fmt.Sprintf("the user of NATS_CREDS (%s)", c.NATSCreds), at})
	}
	for _, file := range c.CertificateFiles() {
		certificates := readCertificates(file.Path)
		if len(certificates) == 0 {
			continue
		}
		e := expiry{fmt.Sprintf("the certificate of %s (%s)", file.Name, file.Path), certificates[0].NotAfter}
		if file.Authority { // one that has expired does no harm beside its successor
			e.what = fmt.Sprintf("the last certificate of %s (%s)", file.Name, file.Path)
			for _, certificate := range certificates {
				if certificate.NotAfter.After(e.at) {
					e.at = certificate.NotAfter
				}
			}
		}
		all = append(all, e)
	}
	return all
}

// userExpiry returns when the JWT of a file of credentials expires.
func userExpiry(path string) (at time.Time, expires bool) {
	content, err := os.ReadFile(path)
	if path == "" || err != nil {
		return at, false
	}
	token, err := nkeys.ParseDecoratedJWT(content)
	if err != nil {
		return at, false
	}
	claims, err := jwt.DecodeUserClaims(token)
	if err != nil || claims.Expires == 0 {
		return at, false
	}
	return time.Unix(claims.Expires, 0), true
}

func readCertificates(path string) (all []*x509.Certificate) {
	rest, _ := os.ReadFile(path)
	for {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return all
		}
		if certificate, err := x509.ParseCertificate(block.Bytes); err == nil {
			all = append(all, certificate)
		}
	}
}
