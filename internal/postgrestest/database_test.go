package postgrestest

import (
	"testing"
	"testing/synctest"
	"time"
)

// fakeTest replaces a test. Its cleanups run when end is called.
type fakeTest struct {
	testing.TB
	name     string
	deadline time.Time
	cleanup  []func()
	failed   bool
}

func (f *fakeTest) Helper()                     {}
func (f *fakeTest) Name() string                { return f.name }
func (f *fakeTest) Cleanup(c func())            { f.cleanup = append(f.cleanup, c) }
func (f *fakeTest) Deadline() (time.Time, bool) { return f.deadline, !f.deadline.IsZero() }

// Fatalf ends the goroutine as the real one does, by a panic that acquire recovers.
func (f *fakeTest) Fatalf(string, ...any) { f.failed = true; panic(f) }

func (f *fakeTest) end() {
	for _, c := range f.cleanup {
		c()
	}
}

// acquire reports whether the test got a place.
func (f *fakeTest) acquire(h *holders) (got bool) {
	defer func() {
		if r := recover(); r != nil && r != any(f) {
			panic(r)
		}
		got = !f.failed
	}()
	h.acquire(f)
	return true
}

func TestPlacesAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHolders(1)
		first, second := &fakeTest{name: "TestA"}, &fakeTest{name: "TestB"}
		first.acquire(h)
		done := make(chan bool, 1)
		go func() { done <- second.acquire(h) }()
		synctest.Wait()
		if len(done) != 0 {
			t.Fatal("two tests hold the only place")
		}
		first.end()
		if !<-done {
			t.Error("the test did not get the freed place")
		}
	})
}

func TestAHolderAndItsSubtestsDoNotWait(t *testing.T) {
	t.Parallel()
	h := newHolders(1)
	for _, name := range []string{"TestA", "TestA", "TestA/sub", "TestA/sub/sub"} {
		if !(&fakeTest{name: name}).acquire(h) {
			t.Errorf("%s waits for itself", name)
		}
	}
	if h.holds("TestAB") || h.holds("Test") {
		t.Error("a test counts as a subtest of another")
	}
}

func TestWaitingEndsBeforeTheDeadline(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := newHolders(1)
		(&fakeTest{name: "TestA"}).acquire(h)
		deadline := time.Now().Add(10 * time.Minute)
		if (&fakeTest{name: "TestB", deadline: deadline}).acquire(h) {
			t.Error("a test got a place although none is free")
		}
		if !time.Now().Before(deadline) {
			t.Error("it gave up after the deadline")
		}
	})
}
