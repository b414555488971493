package main

import (
	"archive/tar"
	"bytes"
	"cmp"
	"compress/gzip"
	"io"
	"os"
	"path"
	"slices"
	"time"
)

// file is a file or directory of an archive.
type file struct {
	path  string // with slashes
	mode  int64
	owner int // of both kinds
	dir   bool
	text  []byte
}

// below are the files in a directory of that name.
func below(dir string, files []file) (all []file) {
	for _, f := range files {
		f.path = path.Join(dir, f.path)
		all = append(all, f)
	}
	return all
}

// writeTar writes files in the order of their names, with their parent directories, all with that time.
func writeTar(w io.Writer, files []file, at time.Time) error {
	named := map[string]bool{}
	for _, f := range files {
		named[f.path] = true
	}
	all := slices.Clone(files)
	for _, f := range files {
		for dir := path.Dir(f.path); dir != "." && !named[dir]; dir = path.Dir(dir) {
			named[dir] = true
			all = append(all, file{path: dir, mode: 0o755, dir: true})
		}
	}
	slices.SortFunc(all, func(a, b file) int { return cmp.Compare(a.path, b.path) })
	archive := tar.NewWriter(w)
	for _, f := range all {
		header := &tar.Header{
			Format: tar.FormatUSTAR, Name: f.path, Mode: f.mode, Uid: f.owner, Gid: f.owner, ModTime: at,
			Typeflag: tar.TypeReg, Size: int64(len(f.text)),
		}
		if f.dir {
			header.Typeflag, header.Name = tar.TypeDir, f.path+"/"
		}
		if err := archive.WriteHeader(header); err != nil {
			return err
		}
		if _, err := archive.Write(f.text); err != nil {
			return err
		}
	}
	return archive.Close()
}

// writeArchive writes a .tar.gz, without a name or time of its own.
func writeArchive(name string, files []file, at time.Time) error {
	var b bytes.Buffer
	zip, err := gzip.NewWriterLevel(&b, gzip.BestCompression)
	if err != nil {
		return err
	}
	if err := writeTar(zip, files, at); err != nil {
		return err
	}
	if err := zip.Close(); err != nil {
		return err
	}
	return os.WriteFile(name, b.Bytes(), 0o644)
}
