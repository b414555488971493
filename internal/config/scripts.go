package config

import (
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"

	"example.com/tenant-provisioner/internal/pipeline"
	"example.com/tenant-provisioner/internal/scripts"
	"example.com/tenant-provisioner/internal/seeds"
	"example.com/tenant-provisioner/internal/sql"
)

// Scripts returns the initialisation scripts of INIT_SCRIPTS for the database, as [Load] read them; nil: it is not set.
func (c *Config) Scripts() *pipeline.Scripts { return c.scripts }

// readScripts reads the initialisation scripts, and returns the faults of their files.
func (c *Config) readScripts() error {
	if c.InitScripts == "" {
		if c.OwnDefinition() {
			return errors.New("BASE_DEFINITION: none needs INIT_SCRIPTS, the scripts that make a tenant; set it, or set " +
				"BASE_DEFINITION to docex")
		}
		return nil
	}
	files, faults := scripts.Read(c.InitScripts, c.engine())
	c.scripts = &pipeline.Scripts{Files: files, Timeout: c.InitScriptTimeout}
	if c.plans != nil {
		c.scripts.Plans = slices.Sorted(maps.Keys(c.plans.ByName))
	}
	return prefixed("INIT_SCRIPTS", faults)
}

// Seeds returns the seed data of SEED_DATA, as [Load] read it; nil: it is not set.
func (c *Config) Seeds() *pipeline.Seeds { return c.seeds }

// readSeeds reads the seed data, and returns the faults of its files.
func (c *Config) readSeeds() error {
	if c.SeedData == "" {
		return nil
	}
	var faults []error
	c.seeds, faults = seeds.Read(c.SeedData)
	return prefixed("SEED_DATA", faults)
}

// prefixed returns the faults, each with the name of the variable.
func prefixed(variable string, faults []error) error {
	all := make([]error, len(faults))
	for i, fault := range faults {
		all[i] = fmt.Errorf("%s: %w", variable, fault)
	}
	return errors.Join(all...)
}

// engine is the directory of the database's own scripts.
func (c *Config) engine() string {
	if c.OnPostgres() {
		return scripts.Postgres
	}
	return scripts.SQLite
}

// OwnDefinition reports whether the scripts make all that a tenant has.
func (c *Config) OwnDefinition() bool { return c.BaseDefinition == sql.BaseNone }

// Steps returns the steps that the service runs.
func (c *Config) Steps() []pipeline.Step {
	var further []string
	if c.scripts != nil {
		further = append(further, pipeline.RunInitScripts)
	}
	if c.seeds != nil {
		further = append(further, pipeline.LoadSeedData)
	}
	if c.OwnDefinition() {
		return pipeline.OwnSteps(further...)
	}
	return pipeline.Steps(further...)
}

// File is a file whose content every new tenant gets.
type File struct {
	Path   string // from the variable's name, such as INIT_SCRIPTS/postgres/010_orders.sql
	SHA256 string // in lower-case hex
}

// Files lists the files of the variables that name directories.
func (c *Config) Files() (all []File) {
	if c.scripts != nil {
		for _, s := range c.scripts.Files {
			all = append(all, File{path.Join("INIT_SCRIPTS", c.engine(), s.Name), s.SHA256})
		}
	}
	if c.seeds != nil {
		for _, f := range c.seeds.Files {
			all = append(all, File{path.Join("SEED_DATA", f.Name), f.SHA256})
		}
	}
	return all
}
