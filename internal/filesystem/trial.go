package filesystem

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Use is what a directory is for.
type Use int

// The uses.
const (
	ForDatabases Use = iota // SQLite files, which other users may read
	ForStreams              // files of the embedded NATS server
)

const (
	// TrialPrefix begins the names of the directories of trials.
	TrialPrefix = ".trial-"
	// trialAge is the age from which such a directory is a leftover of a process that has ended.
	trialAge = time.Hour
	// pageSize is how many bytes a trial writes and maps.
	pageSize = 4096
)

// Names of the files in such a directory.
const (
	trialFile   = "trial"
	trialPlaced = "trial.placed"
)

// Prepare creates the directory, with its missing parents, and tries it. made has the directories that it created, the
// deepest first; lacking and errors are as those of [System.Try].
func (s System) Prepare(dir string, use Use) (made, lacking []string, err error) {
	if made, err = s.MakeDirs(dir); err != nil {
		return made, nil, explain(dir, "create the directory", err)
	}
	lacking, err = s.Try(dir, use)
	return made, lacking, err
}

// Try runs the operations that the use needs in a scratch directory below dir, and removes it. lacking has a sentence
// for each guarantee that the file system does not give and that the use can do without. An error is a *pipeline.Fault:
// an outage, such as a full disk, or permanent, if the directory is not fit for the use or not accessible.
func (s System) Try(dir string, use Use) (lacking []string, err error) {
	s.removeOldTrials(dir)
	t := &trial{System: s, use: use, dir: filepath.Join(dir, TrialPrefix+strings.ToLower(rand.Text()[:12]))}
	for _, step := range t.steps() {
		if err = step.do(); err != nil {
			err = explain(dir, step.what, err)
			break
		}
	}
	if left := t.remove(); left != nil && err == nil {
		err = explain(dir, "remove files", left)
	}
	return t.lacking, err
}

// trial is one trial, in a scratch directory.
type trial struct {
	System
	use     Use
	dir     string
	file    *os.File
	lacking []string
}

// step is one operation of a trial. what completes "cannot".
type step struct {
	what string
	do   func() error
}

func (t *trial) steps() []step {
	all := []step{
		{"create directories", func() error { return t.makeDir(t.dir) }},
		{"create files", t.create},
		{"write files", t.write},
		{"sync files", func() error { return t.Fsync(t.file) }},
	}
	if t.use == ForStreams {
		return append(all, step{"lock files", func() error { return t.Flock(t.file) }},
			step{"rename files", func() error { return t.Rename(t.path(trialFile), t.path(trialPlaced)) }},
			step{"sync directories", func() error { return t.FsyncDir(t.dir) }})
	}
	return append(all, step{"set modes", t.checkModes},
		step{"lock records of files, as SQLite does", func() error { return t.RecordLock(t.file) }},
		step{"map files into memory, as SQLite's write-ahead log does", t.mapFile},
		step{"lock files with flock, as a migration of the registry does", t.flock},
		step{"lock files", t.lock},
		step{"link or rename files", t.place},
		step{"sync directories", t.syncDir})
}

func (t *trial) path(name string) string { return filepath.Join(t.dir, name) }

func (t *trial) create() (err error) {
	t.file, err = t.CreateFile(t.path(trialFile))
	return err
}

func (t *trial) write() error {
	_, err := t.file.Write(make([]byte, pageSize))
	return err
}

// checkModes notes modes that keep other users out.
func (t *trial) checkModes() error {
	dir, err := os.Stat(t.dir)
	if err != nil {
		return err
	}
	file, err := t.file.Stat()
	if err != nil {
		return err
	}
	if d, f := dir.Mode().Perm(), file.Mode().Perm(); d&dirMode != dirMode || f&fileMode != fileMode {
		t.lacking = append(t.lacking, fmt.Sprintf("the file system gives directories and files the modes %04o and %04o "+
			"instead of %04o and %04o: other users, such as an application's, may not read tenants' files; change the options "+
			"of the mount", d, f, dirMode, fileMode))
	}
	return nil
}

func (t *trial) mapFile() error {
	err := t.Map(t.file)
	if errors.Is(err, syscall.ENODEV) { // of mmap(2): the file system has no mappings
		return fmt.Errorf("%w: %w", errors.ErrUnsupported, err)
	}
	return err
}

// flock takes and releases a lock: held, it may exclude the next kind of lock on a network file system.
func (t *trial) flock() error {
	_, err := t.IsFlocked(t.file)
	return err
}

// errNoEffect means that a lock did not keep another open file from being locked.
var errNoEffect = fmt.Errorf("a lock has no effect: %w", errors.ErrUnsupported)

func (t *trial) lock() error {
	if err := t.LockFile(t.file); err != nil {
		return err
	}
	other, err := os.OpenFile(t.path(trialFile), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer other.Close() //nolint:errcheck // nothing was written
	is, err := t.IsFileLocked(other)
	if err == nil && !is {
		err = errNoEffect
	}
	return err
}

func (t *trial) place() error {
	_, err := t.Place(t.path(trialFile), t.path(trialPlaced))
	return err
}

func (t *trial) syncDir() error {
	err := t.FsyncDir(t.dir)
	if lacksDirSync(err) {
		t.lacking = append(t.lacking, "the file system cannot sync directories: a power failure may remove tenants that "+
			"were provisioned shortly before; use one that can, such as ext4 or XFS")
		return nil
	}
	return err
}

// remove removes the scratch directory and its files, by name.
func (t *trial) remove() error {
	if t.file != nil {
		t.file.Close() //nolint:errcheck // its content is discarded
	}
	return t.removeTrial(t.dir)
}

func (s System) removeTrial(dir string) error {
	for _, name := range []string{filepath.Join(dir, trialFile), filepath.Join(dir, trialPlaced), dir} {
		if err := s.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
	}
	return nil
}

// removeOldTrials removes what trials of ended processes left in the directory.
func (s System) removeOldTrials(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return // the trial reports it
	}
	for _, entry := range entries {
		if !strings.HasPrefix(entry.Name(), TrialPrefix) {
			continue
		}
		if info, err := entry.Info(); err == nil && time.Since(info.ModTime()) > trialAge {
			s.removeTrial(filepath.Join(dir, entry.Name())) //nolint:errcheck // the next trial tries again
		}
	}
}
