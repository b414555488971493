// Package plans reads the file of plans: the limits and labels that an operator gives tenants, by the plan's name. It
// is strict, and reports all faults of the file at once, each with its line and what to write.
//
//	default: free
//	plans:
//	  free: {max_bytes: 1GiB, max_rows: 100000, labels: {tier: free}}
//	  enterprise: {}
package plans

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"go.yaml.in/yaml/v3"

	"example.com/tenant-provisioner/internal/pipeline"
)

// MaxFile is the largest file of plans, in bytes.
const MaxFile = 1 << 20

// example is what an empty or wrong file should have.
const example = "write default: free, and plans: {free: {max_bytes: 1GiB, max_rows: 100000}}"

// Read reads the file of plans. It returns every fault; each names the path and, if it is in the text, the line.
func Read(path string) (*pipeline.Plans, []error) {
	text, err := readFile(path)
	if err != nil {
		return nil, []error{err}
	}
	return parse(path, text)
}

// readFile reads a regular file of at most MaxFile bytes. It does not wait for the writer of a pipe.
func readFile(path string) (text []byte, err error) {
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return nil, unreadable(err)
	case info.IsDir():
		return nil, fmt.Errorf("%s is a directory; write the path of a YAML file", path)
	case !info.Mode().IsRegular():
		return nil, fmt.Errorf("%s is not a regular file; write the path of a YAML file", path)
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, unreadable(err)
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if text, err = io.ReadAll(io.LimitReader(file, MaxFile+1)); err != nil {
		return nil, err
	}
	if len(text) > MaxFile {
		return nil, fmt.Errorf("%s is larger than 1 MiB; write at most %d plans", path, maxPlans)
	}
	return text, nil
}

// unreadable adds what to do to an error that names the file.
func unreadable(err error) error {
	return fmt.Errorf("%w; write the path of a file that this user may read", err)
}

// parse reads the text of the file at path.
func parse(path string, text []byte) (*pipeline.Plans, []error) {
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	var document yaml.Node
	err := decoder.Decode(&document)
	switch {
	case errors.Is(err, io.EOF), err == nil && len(document.Content) == 0:
		return nil, []error{fmt.Errorf("%s is empty; %s", path, example)}
	case err != nil:
		return nil, []error{notYAML(path, err)}
	}
	r := &reader{path: path}
	plans := r.file(document.Content[0])
	var second yaml.Node
	switch err := decoder.Decode(&second); {
	case err == nil:
		r.fault(&second, "", "a second document begins here; write all plans into one")
	case !errors.Is(err, io.EOF):
		return nil, []error{notYAML(path, err)}
	}
	if faults := r.all(); len(faults) > 0 {
		return nil, faults
	}
	return plans, nil
}
