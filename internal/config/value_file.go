package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"unicode"
)

// fileSuffix is what a variable's name ends in that has the path of a file with the value of the variable without it.
const fileSuffix = "_FILE"

// maxValueFile bounds a file with a value, in bytes: no value is as long.
const maxValueFile = 64 << 10

// ValueFile is the path of a file that has the value of a variable: a secret that a supervisor mounts, and replaces
// while the service runs. Empty: there is no file.
type ValueFile string

// Read returns the value, without blanks, line breaks and a byte order mark around it. Errors do not contain it.
func (f ValueFile) Read() (string, error) {
	content, err := f.content()
	if err != nil {
		return "", err
	}
	text, err := plain(string(bytes.TrimPrefix(content, []byte("\ufeff"))))
	switch {
	case err != nil:
		return "", fmt.Errorf("%s %w", f, err)
	case text == "":
		return "", fmt.Errorf("%s is empty; write the value into it", f)
	}
	return text, nil
}

func (f ValueFile) content() ([]byte, error) {
	info, err := os.Stat(string(f))
	switch {
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // a pipe, which could be read only once
		return nil, fmt.Errorf("%s is not a regular file", f)
	}
	file, err := os.Open(string(f))
	if err != nil {
		return nil, err
	}
	defer file.Close() //nolint:errcheck // it was only read
	content, err := io.ReadAll(io.LimitReader(file, maxValueFile+1))
	if err == nil && len(content) > maxValueFile {
		err = fmt.Errorf("%s is longer than %d bytes; write the value alone into it", f, maxValueFile)
	}
	return content, err
}

// readValueFiles takes the values of the variables that are in files. Where that fails, the variable gets a value with
// which the others can be judged.
func (c *Config) readValueFiles(set map[string]bool) error {
	var faults []error
	for _, v := range []struct {
		name     string
		file     ValueFile
		value    *string
		fallback string
	}{
		{"NATS_URL", c.NATSURLFile, &c.NATSURL, natsDefaultURL}, // not the embedded server
		{"DATABASE_URL", c.DatabaseURLFile, &c.DatabaseURL, ""},
	} {
		if v.file == "" {
			continue
		}
		if set[v.name] {
			faults = append(faults, fmt.Errorf("%s and %s: both are set; set one of them", v.name, v.name+fileSuffix))
			continue
		}
		text, err := v.file.Read()
		if err != nil {
			text = v.fallback
			if !errors.Is(err, fs.ErrNotExist) { // the tag is:"file" has reported it
				faults = append(faults, fmt.Errorf("%s: %w", v.name+fileSuffix, err))
			}
		}
		*v.value, set[v.name] = text, true
		c.origins[v.name] = "the content of " + string(v.file)
	}
	return errors.Join(faults...)
}

// originError is a fault of a value with another origin than its variable, which its text names.
type originError struct {
	error
	text string
}

func (e *originError) Error() string { return e.text }
func (e *originError) Unwrap() error { return e.error }

// withOrigin adds the origin of the variable's value to its faults in err, each of which is a line.
func (c *Config) withOrigin(variable string, err error) error {
	if err == nil || c.origins[variable] == "" {
		return err
	}
	lines := strings.ReplaceAll("\n"+err.Error(), "\n"+variable+": ", "\n"+c.named(variable)+": ")
	return &originError{err, lines[1:]}
}

// CurrentNATSURL returns NATS_URL, which it reads again if it is in a file. Errors do not contain it.
func (c *Config) CurrentNATSURL() (string, error) {
	if c.NATSURLFile == "" {
		return c.NATSURL, nil
	}
	text, err := c.NATSURLFile.Read()
	if err != nil {
		return "", fmt.Errorf("NATS_URL_FILE: %w", err)
	}
	now := *c
	now.NATSURL = withNATSUser(text, c.contextUser)
	return now.NATSURL, now.checkNATS()
}

// currentDatabaseURL returns the function that reads DATABASE_URL again, of PostgreSQL; nil: it is not in a file.
func (c *Config) currentDatabaseURL() func() (string, error) {
	if c.DatabaseURLFile == "" {
		return nil
	}
	now := *c
	return func() (string, error) {
		text, err := now.DatabaseURLFile.Read()
		if err != nil {
			return "", fmt.Errorf("DATABASE_URL_FILE: %w", err)
		}
		now := now
		if now.DatabaseURL = text; !now.OnPostgres() {
			return "", fmt.Errorf("DATABASE_URL_FILE: %s is not postgres://… any more", now.DatabaseURLFile)
		}
		return text, now.withOrigin("DATABASE_URL", now.Postgres().Check())
	}
}

// plain returns a value without what files of secrets and shells leave around it. The error is about the form of the
// text, and does not contain it; the text is then what can still be judged.
func plain(text string) (string, error) {
	var err error
	text = strings.TrimSpace(text)
	if strings.ContainsFunc(text, unicode.IsControl) {
		err = errors.New("contains a line break or another control character; write one line")
		text = strings.Map(func(r rune) rune {
			if unicode.IsControl(r) {
				return -1
			}
			return r
		}, text)
	}
	if quote := text[:min(len(text), 1)]; quote == `"` || quote == "'" {
		err = errors.Join(err, errors.New("begins with a quotation mark, which belongs to the value; write it without"))
		text = strings.Trim(text, quote)
	}
	return text, err
}
