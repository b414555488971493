package pipeline

import (
	"fmt"
	"time"

	"example.com/tenant-provisioner/events"
)

// Script is an initialisation script: a file of SQL that runs in every new tenant's boundary. It is read once, at
// start.
type Script struct {
	Name   string // of the file, such as 010_indexes.sql
	Text   string // UTF-8, without a byte order mark
	SHA256 string // of the file's bytes, in lower-case hex
	// Prepare: it depends on no value of a request, so that it can run when a boundary is prepared.
	Prepare bool
}

// Scripts are what run_init_scripts runs, in the order of their names. nil: the step does not exist.
type Scripts struct {
	Files   []Script
	Timeout time.Duration // for all scripts of a request
	// Plans are the names of all plans that a tenant can have; nil: tenants have no plan. The rehearsal tries each.
	Plans []string
}

// Records returns what an outcome and the registry have of the scripts.
func (s *Scripts) Records() (all []events.Script) {
	if s == nil {
		return nil
	}
	for _, file := range s.Files {
		all = append(all, events.Script{Name: file.Name, SHA256: file.SHA256})
	}
	return all
}

// Rehearsed returns the values of the plan for which scripts are rehearsed.
func (s *Scripts) Rehearsed() []string {
	if s == nil || len(s.Plans) == 0 {
		return []string{""}
	}
	return s.Plans
}

// Prepared returns the scripts that can run when a boundary is prepared.
func (s *Scripts) Prepared() (files []Script) {
	if s == nil {
		return nil
	}
	for _, file := range s.Files {
		if file.Prepare {
			files = append(files, file)
		}
	}
	return files
}

// Values are the values of a request that scripts can ask for, and that seed data can contain.
type Values struct {
	TenantID    string
	DisplayName string
	CreatedBy   string
	Plan        string    // empty: none
	Now         time.Time // UTC, whole microseconds: the tenant's created_at
}

// DefinitionBroken is the fault of scripts after which the definition no longer holds. differences are those that lose
// or refuse rows; without any it returns nil.
func DefinitionBroken(differences []string) error {
	if len(differences) == 0 {
		return nil
	}
	return Permanentf(events.CauseInitScriptFailed, "after the initialisation scripts the structure differs from the "+
		"definition: %s; correct the script that changes it", summary(differences))
}

// ScriptFailed is the fault of a statement that begins at that line (from 1) of an initialisation script. code is the
// SQLSTATE or driver code of err, or empty.
func ScriptFailed(file string, line int, code string, err error) *Fault {
	return &Fault{
		Class: Permanent, Code: events.CauseInitScriptFailed, Message: fmt.Sprintf("%s, line %d", file, line),
		DriverCode: code, Err: err,
	}
}

// SeedFailed is [ScriptFailed] for a row of a file of seed data. line 0: the database does not name the row.
func SeedFailed(file string, line int, code string, err error) *Fault {
	fault := ScriptFailed(file, line, code, err)
	fault.Code = events.CauseSeedDataFailed
	if line == 0 {
		fault.Message = file
	}
	return fault
}
