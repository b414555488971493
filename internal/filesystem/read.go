package filesystem

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
)

// ReadRegular reads a regular file below root, which links cannot leave. It reads at most limit+1 bytes: longer content
// exceeds the limit. It does not wait for the writer of a pipe. An error says what to do, and does not name the file.
func ReadRegular(root *os.Root, name string, limit int64) (content []byte, err error) {
	info, err := root.Stat(name)
	if link, _ := root.Lstat(name); err != nil && link != nil && link.Mode()&fs.ModeSymlink != 0 {
		return nil, fmt.Errorf("is a link that leads to no file of the directory (%w); replace it by the file", Reason(err))
	}
	if err == nil && !info.Mode().IsRegular() {
		return nil, errors.New("is not a regular file; replace it by one, or move it away")
	}
	var file *os.File
	if err == nil {
		file, err = root.Open(name)
	}
	if err == nil {
		content, err = io.ReadAll(io.LimitReader(file, limit+1))
		err = errors.Join(err, file.Close())
	}
	if err != nil {
		return nil, fmt.Errorf("%w; let this user read it", Reason(err))
	}
	return content, nil
}

// Reason returns an error without the operation and the path.
func Reason(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}
