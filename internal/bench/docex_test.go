//go:build bench

package bench

import (
	"bufio"
	_ "embed"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"example.com/tenant-provisioner/internal/testkit"
)

var docexPython = flag.String("docex", "", "a Python that has DocEX (docex[postgres]), to measure beside it; empty: not measured")

//go:embed testdata/docex.py
var docexScript string

// docexTenants is how many tenants DocEX provisions in a round. It keeps a connection for each until its process ends.
const docexTenants = 20

// docex has DocEX provision tenants one after the other, in a process of its own and in a database of its own, and
// returns how long each took in milliseconds.
func docex(t testing.TB, url string) (all []float64) {
	t.Helper()
	python := exec.Command(*docexPython, "-c", docexScript)
	python.Env, python.Stderr = append(os.Environ(), "DATABASE_URL="+url), os.Stderr
	requests, err := python.StdinPipe()
	testkit.Must(t, err)
	output, err := python.StdoutPipe()
	testkit.Must(t, err)
	testkit.Must(t, python.Start())
	answers := bufio.NewScanner(output)
	answer := func() {
		if !answers.Scan() {
			t.Fatalf("DocEX has ended: %v", python.Wait())
		}
	}
	answer()
	versions.docex = answers.Text()
	for range docexTenants {
		began := time.Now()
		fmt.Fprintln(requests, newTenant())
		answer()
		all = append(all, milliseconds(time.Since(began)))
	}
	testkit.Must(t, requests.Close())
	testkit.Must(t, python.Wait())
	return all
}

// besideDocEX measures the latency of single requests, prepared and as asked, and the rate of a burst as asked, against
// DocEX's create() in one process.
func (b *bench) besideDocEX(t *testing.T) {
	if *docexPython == "" {
		return
	}
	_, err := b.db.Exec(t.Context(), "CREATE DATABASE docex")
	testkit.Must(t, err)
	url := strings.Replace(b.database, "/tenants?", "/docex?", 1)
	theirs := func() float64 { return median(docex(t, url)) }
	compare := func(what string, prepared int) {
		p := b.consumer(t, fmt.Sprint("PREPARED_BOUNDARIES=", prepared))
		defer p.stop()
		ours := func() float64 {
			b.filled(t, prepared)
			all, _ := b.load.latencies(t)
			return median(all)
		}
		ours()
		one := row{what: what + ", request → outcome, p50, against DocEX's create()", unit: "ms"}
		one.ours, one.bare = byTurns(*rounds, ours, theirs)
		b.add(t, one)
	}
	theirs() // creates its registry
	compare("prepared", single)
	compare("as asked", 0)
	p := b.consumer(t)
	defer p.stop()
	burst := row{what: "as asked, a burst, against DocEX one by one", unit: "tenants/s"}
	burst.ours, burst.bare = byTurns(*rounds, func() float64 {
		took, _ := b.load.burst(t, single)
		return rate(single, took)
	}, func() float64 {
		sum := 0.0
		for _, each := range docex(t, url) {
			sum += each
		}
		return docexTenants / sum * 1000
	})
	b.add(t, burst)
}
