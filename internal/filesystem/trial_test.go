package filesystem

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/testkit"
)

// masked is the operating system with umask 077, so that every mode has to be set.
func masked() System {
	s := OS
	s.Mkdir = func(dir string, _ fs.FileMode) error { return os.Mkdir(dir, 0o700) }
	s.Create = func(name string, _ fs.FileMode) (*os.File, error) { return OS.Create(name, 0o600) }
	return s
}

// failures make one operation fail.
var failures = map[string]func(s *System, err error){
	"Mkdir": func(s *System, err error) { s.Mkdir = func(string, fs.FileMode) error { return err } },
	"Create": func(s *System, err error) {
		s.Create = func(string, fs.FileMode) (*os.File, error) { return nil, err }
	},
	"Chmod":      func(s *System, err error) { s.Chmod = func(string, fs.FileMode) error { return err } },
	"Remove":     func(s *System, err error) { s.Remove = func(string) error { return err } },
	"Lock":       func(s *System, err error) { s.Lock = func(*os.File) error { return err } },
	"IsLocked":   func(s *System, err error) { s.IsLocked = func(*os.File) (bool, error) { return false, err } },
	"Flock":      func(s *System, err error) { s.Flock = func(*os.File) error { return err } },
	"IsFlocked":  func(s *System, err error) { s.IsFlocked = func(*os.File) (bool, error) { return false, err } },
	"RecordLock": func(s *System, err error) { s.RecordLock = func(*os.File) error { return err } },
	"Map":        func(s *System, err error) { s.Map = func(*os.File) error { return err } },
	"Link":       func(s *System, err error) { s.Link = func(string, string) error { return err } },
	"RenameNew":  func(s *System, err error) { s.RenameNew = func(string, string) error { return err } },
	"Rename":     func(s *System, err error) { s.Rename = func(string, string) error { return err } },
	"Fsync":      func(s *System, err error) { s.Fsync = func(*os.File) error { return err } },
	"FsyncDir":   func(s *System, err error) { s.FsyncDir = func(string) error { return err } },
}

var errnos = map[string]syscall.Errno{
	"ENOSYS": syscall.ENOSYS, "EXDEV": syscall.EXDEV, "EMLINK": syscall.EMLINK, "EACCES": syscall.EACCES,
	"EPERM": syscall.EPERM, "EINVAL": syscall.EINVAL, "ENOLCK": syscall.ENOLCK, "EOPNOTSUPP": syscall.EOPNOTSUPP,
	"EROFS": syscall.EROFS, "ENOSPC": syscall.ENOSPC, "EDQUOT": syscall.EDQUOT, "EIO": syscall.EIO,
	"ENODEV": syscall.ENODEV,
}

// Operations that fail together (one+another), with each error number: the trial works in another way, works and
// "lacks" a guarantee, waits for the end of an outage, or refuses the directory.
const (
	//nolint:dupword // a table
	databaseTrials = `
                      ENOSYS  EXDEV   EMLINK  EACCES  EPERM   EINVAL  ENOLCK  EOPNOTSUPP EROFS  ENOSPC EDQUOT EIO
Mkdir                 refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Create                refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Chmod                 lacks   refused refused lacks   lacks   lacks   refused lacks      waits  waits  waits  waits
RecordLock            refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Map                   refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Lock                  works   refused refused refused refused works   refused works      waits  waits  waits  waits
Lock+IsLocked         works   refused refused refused refused works   refused works      waits  waits  waits  waits
Lock+Flock            refused refused refused refused refused refused refused refused    waits  waits  waits  waits
IsLocked              refused refused refused refused refused refused refused refused    waits  waits  waits  waits
IsFlocked             refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Fsync                 refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Link                  works   works   works   works   works   works   refused works      waits  waits  waits  waits
Link+RenameNew        works   refused refused works   works   works   refused works      waits  waits  waits  waits
Link+RenameNew+Rename refused refused refused refused refused refused refused refused    waits  waits  waits  waits
FsyncDir              lacks   refused refused refused refused lacks   refused lacks      waits  waits  waits  waits
Remove                refused refused refused refused refused refused refused refused    waits  waits  waits  waits`
	//nolint:dupword // a table
	streamTrials = `
                      ENOSYS  EXDEV   EMLINK  EACCES  EPERM   EINVAL  ENOLCK  EOPNOTSUPP EROFS  ENOSPC EDQUOT EIO
Mkdir                 refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Create                refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Chmod                 works   refused refused works   works   works   refused works      waits  waits  waits  waits
Flock                 refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Fsync                 refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Rename                refused refused refused refused refused refused refused refused    waits  waits  waits  waits
FsyncDir              refused refused refused refused refused refused refused refused    waits  waits  waits  waits
Remove                refused refused refused refused refused refused refused refused    waits  waits  waits  waits
RecordLock+Map+Link   works   works   works   works   works   works   works   works      works  works  works  works`
)

func TestTrialOfEachOperationWithEachError(t *testing.T) {
	t.Parallel()
	for use, table := range map[Use]string{ForDatabases: databaseTrials, ForStreams: streamTrials} {
		lines := strings.Split(strings.TrimSpace(table), "\n")
		names := strings.Fields(lines[0])
		for _, line := range lines[1:] {
			cells := strings.Fields(line)
			for i, want := range cells[1:] {
				s := masked()
				for operation := range strings.SplitSeq(cells[0], "+") {
					failures[operation](&s, os.NewSyscallError(strings.ToLower(operation), errnos[names[i]]))
				}
				dir := t.TempDir()
				lacking, err := s.Try(dir, use)
				what := fmt.Sprintf("use %d, %s: %s", use, cells[0], names[i])
				testkit.Equal(t, what, judge(t, dir, lacking, err), want)
				if err != nil && !errors.Is(err, errnos[names[i]]) && !errors.Is(err, errNoEffect) {
					t.Errorf("%s: %v does not have the cause", what, err)
				}
				if left, err := os.ReadDir(dir); err != nil || len(left) > 0 && cells[0] != "Remove" {
					t.Errorf("%s: left behind: %v (%v)", what, left, err)
				}
			}
		}
	}
}

// judge returns the result of a trial. Each error names the directory, or what is wrong with its disk, and what to do.
func judge(t *testing.T, dir string, lacking []string, err error) string {
	t.Helper()
	var fault *pipeline.Fault
	switch {
	case err == nil && len(lacking) == 0:
		return "works"
	case err == nil:
		return "lacks"
	case pipeline.IsOutage(err):
		return "waits"
	case !errors.As(err, &fault) || fault.Class != pipeline.Permanent:
		t.Errorf("%v is not a permanent fault", err)
	}
	testkit.Contains(t, "the error", err.Error(), dir, "choose")
	return "refused"
}

// mmap(2) has an error number of its own for a file system without mappings. Elsewhere it is a missing disk.
func TestTrialWithoutMappings(t *testing.T) {
	t.Parallel()
	s := OS
	failures["Map"](&s, syscall.ENODEV)
	dir := t.TempDir()
	lacking, err := s.Try(dir, ForDatabases)
	testkit.Equal(t, "result", judge(t, dir, lacking, err), "refused")
	testkit.Contains(t, "the error", err.Error(), "map files into memory")
}

// Locks that no other open file notices, as on a mount with the option nolock, do not count as locks.
func TestTrialOfLocksWithoutEffect(t *testing.T) {
	t.Parallel()
	s := OS
	failures["Lock"](&s, nil)
	dir := t.TempDir()
	lacking, err := s.Try(dir, ForDatabases)
	testkit.Equal(t, "result", judge(t, dir, lacking, err), "refused")
	testkit.Contains(t, "the error", err.Error(), "a lock has no effect")
}

// A directory that cannot be created has the same errors as one that cannot be used.
func TestPrepare(t *testing.T) {
	t.Parallel()
	file := t.TempDir() + "/file"
	testkit.Must(t, os.WriteFile(file, nil, 0o600))
	_, _, err := OS.Prepare(file+"/below", ForDatabases)
	testkit.Contains(t, "below a file", err.Error(), file+"/below cannot be used", "not a directory")
	_, _, err = OS.Prepare(file, ForDatabases)
	testkit.Contains(t, "a file", err.Error(), file+" cannot be used", "not a directory")

	full := OS
	failures["Mkdir"](&full, syscall.ENOSPC)
	if _, _, err := full.Prepare(t.TempDir()+"/new", ForDatabases); !pipeline.IsOutage(err) {
		t.Errorf("on a full disk: %v is not an outage", err)
	}

	dir := t.TempDir()
	made, lacking, err := OS.Prepare(dir+"/a/b", ForDatabases)
	testkit.Must(t, err)
	if want := []string{dir + "/a/b", dir + "/a"}; !slices.Equal(made, want) || lacking != nil {
		t.Errorf("made %v, want %v; lacking %v", made, want, lacking)
	}
}

// A trial removes what a process that was killed during a trial left, and nothing else.
func TestTrialRemovesOldTrials(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{"old", "recent", "full"} {
		trial := dir + "/" + TrialPrefix + name
		testkit.Must(t, os.Mkdir(trial, 0o755))
		testkit.Must(t, os.WriteFile(trial+"/"+trialFile, nil, 0o600))
		if name == "full" {
			testkit.Must(t, os.WriteFile(trial+"/other", nil, 0o600))
		}
		if name != "recent" {
			long := time.Now().Add(-2 * trialAge)
			testkit.Must(t, os.Chtimes(trial, long, long))
		}
	}
	_, err := OS.Try(dir, ForStreams)
	testkit.Must(t, err)
	left, err := os.ReadDir(dir)
	testkit.Must(t, err)
	var names []string
	for _, entry := range left {
		names = append(names, strings.TrimPrefix(entry.Name(), TrialPrefix))
	}
	testkit.Equal(t, "left", strings.Join(names, " "), "full recent")
}
