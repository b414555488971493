package config

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
)

func isAnything(string) error { return nil }

func isOneOf(allowed ...string) func(string) error {
	return func(value string) error {
		if !slices.Contains(allowed, value) {
			return fmt.Errorf("%q is not one of %s", value, strings.Join(allowed, ", "))
		}
		return nil
	}
}

func isTrueOrFalse(value string) error {
	if !strings.EqualFold(value, "true") && !strings.EqualFold(value, "false") {
		return fmt.Errorf("%q is not true or false", value)
	}
	return nil
}

// isNumber checks a whole number between bounds, inclusive. unit may be empty.
func isNumber(least, most int, unit string) func(string) error {
	return func(value string) error {
		n, err := strconv.Atoi(value)
		if err != nil || n < least || n > most {
			of := strings.TrimSuffix(" of "+unit, " of ")
			return fmt.Errorf("%q is not a whole number%s from %d to %d", value, of, least, most)
		}
		return nil
	}
}

var ratioSamplers = []string{"traceidratio", "parentbased_traceidratio"}

func isSampler(value string) error {
	all := append([]string{"always_on", "always_off", "parentbased_always_on", "parentbased_always_off"}, ratioSamplers...)
	return isOneOf(all...)(strings.ToLower(value))
}

// checkSamplerArgument checks the share of traces that a sampler takes. Other samplers ignore it.
func checkSamplerArgument(sampler, argument string) error {
	if argument == "" || !slices.Contains(ratioSamplers, strings.ToLower(sampler)) {
		return nil
	}
	if ratio, err := strconv.ParseFloat(argument, 64); err != nil || math.IsNaN(ratio) || ratio < 0 || ratio > 1 {
		return fmt.Errorf("%q is not a number from 0 to 1", argument)
	}
	return nil
}

// isAttributes checks name=value,…, percent-encoded.
func isAttributes(list string) error {
	const form = "name=value; write a comma in a value as %2C, a percent sign as %25"
	return eachEntry(list, form, func(name, value string) bool {
		_, err := url.PathUnescape(value)
		return name != "" && err == nil
	})
}

// isHeaders checks name=value,…, percent-encoded.
func isHeaders(list string) error { return eachHeader(list, func(string, string) {}) }

// eachHeader reads name=value,…, percent-encoded. The error does not contain what may be a secret, which is all of it:
// someone may have written "Authorization: Basic …".
func eachHeader(list string, use func(name, value string)) error {
	const form = "name=value, such as Authorization=Basic%20…; write a comma in a value as %2C, a percent sign as %25"
	return eachEntry(list, form, func(name, value string) bool {
		text, err := url.PathUnescape(value)
		if err != nil || !isToken(name) || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
		use(name, strings.TrimSpace(text))
		return true
	})
}

// eachEntry checks the entries of a list that is separated by commas. It ignores empty ones.
func eachEntry(list, form string, valid func(name, value string) bool) error {
	for i, entry := range strings.Split(list, ",") {
		if strings.TrimSpace(entry) == "" {
			continue
		}
		name, value, found := strings.Cut(entry, "=")
		if !found || !valid(strings.TrimSpace(name), value) {
			return fmt.Errorf("entry %d is not %s", i+1, form)
		}
	}
	return nil
}

// isToken reports whether a text is the name of an HTTP header. (RFC 9110, 5.6.2)
func isToken(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool {
		letterOrDigit := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letterOrDigit && !strings.ContainsRune("!#$%&'*+-.^_`|~", r)
	})
}

// checkEndpoint checks the address of a collector. The error does not contain it: it may hold a password or a token.
// The library ignores an address that it cannot parse, and sends to localhost; it also ignores user, password and
// query.
func checkEndpoint(endpoint string, grpc bool) error {
	u, err := url.Parse(endpoint)
	scheme := ""
	if err == nil {
		scheme = strings.ToLower(u.Scheme)
	}
	switch {
	case err == nil && (scheme == "http" || scheme == "https") && u.Opaque == "" && u.Hostname() != "" && isPort(u.Port()):
		if u.User != nil || u.RawQuery != "" || u.Fragment != "" {
			return errors.New("a user, a password or a query in it is not sent; set " + otlp + "HEADERS instead")
		}
		return nil
	case grpc && err == nil && (scheme == "unix" || scheme == "dns" || scheme == "passthrough") && u.User == nil:
		return nil
	case grpc && err == nil && u.Opaque != "" && u.RawQuery == "": // host:port, which looks like a scheme
		if _, port, err := net.SplitHostPort(endpoint); err == nil && port != "" && isPort(port) {
			return nil
		}
	}
	return errors.New("it is not http://host:port or https://host:port")
}

// isPort reports whether a text is a port, or empty.
func isPort(text string) bool {
	n, err := strconv.Atoi(text)
	return text == "" || err == nil && n > 0 && n <= 65535
}

func isReadable(path string) error {
	_, err := os.ReadFile(path)
	return err
}

func isCertificates(path string) error {
	content, err := os.ReadFile(path)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(content) {
		err = fmt.Errorf("%s is not a file of certificates (PEM)", path)
	}
	return err
}

func checkKeyPair(certificate, key string) error {
	if _, err := tls.LoadX509KeyPair(certificate, key); err != nil {
		return fmt.Errorf("not a certificate and its key (PEM): %w", err)
	}
	return nil
}
