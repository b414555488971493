package filesystem

import (
	"maps"
	"os"
	"path/filepath"
	"testing"
)

// lockMethods are the locks of this system, and those of other systems that work here too.
func lockMethods() map[string]lockMethod {
	all := map[string]lockMethod{"this system": {lock, isLocked}}
	maps.Copy(all, otherLockMethods)
	return all
}

type lockMethod struct {
	lock     func(*os.File) error
	isLocked func(*os.File) (bool, error)
}

// A file is locked as long as its creator lives, also for other workers of the same process. Testing for the lock
// neither takes it nor prevents others from taking it.
func TestFileIsLockedWhileItsCreatorLives(t *testing.T) {
	t.Parallel()
	for name, l := range lockMethods() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "x")
			open := func() *os.File {
				f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, fileMode)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { _ = f.Close() })
				return f
			}
			expect := func(f *os.File, want bool, when string) {
				t.Helper()
				if got, err := l.isLocked(f); err != nil || got != want {
					t.Errorf("%s: %v, %v", when, got, err)
				}
			}
			creator, one, other := open(), open(), open()
			expect(one, false, "before it is locked")
			expect(other, false, "while another worker tests it too")
			if err := l.lock(creator); err != nil { // the testers have not closed the file yet
				t.Fatal(err)
			}
			expect(one, true, "while it is locked")
			expect(other, true, "while it is locked, for another worker")
			if content, err := os.ReadFile(path); err != nil || len(content) != 0 {
				t.Errorf("it cannot be read: %v", err)
			}
			if err := creator.Close(); err != nil {
				t.Fatal(err)
			}
			expect(one, false, "after its creator has closed it")
		})
	}
}
