package sqlite

import (
	"context"
	databasesql "database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"sync"

	native "modernc.org/sqlite"

	"example.com/tenant-provisioner/internal/pipeline"
)

// valuesFunction is the function that gives scripts the values of a request.
const valuesFunction = "provisioner"

// scriptDriver opens connections for one attempt at a time. The driver registers functions for the life of the process,
// and does not tell a function which connection calls it. So drivers are used again, and each has values of its own.
type scriptDriver struct {
	native native.Driver
	values *pipeline.Values // of the attempt; nil: the script must not depend on them
}

// scriptDrivers are the drivers that no attempt uses.
type scriptDrivers struct {
	mutex sync.Mutex
	free  []*scriptDriver
}

// take returns a driver for an attempt, which gives it back.
func (d *scriptDrivers) take() (*scriptDriver, error) {
	d.mutex.Lock()
	defer d.mutex.Unlock()
	if last := len(d.free) - 1; last >= 0 {
		taken := d.free[last]
		d.free = d.free[:last]
		return taken, nil
	}
	made := &scriptDriver{}
	// Not deterministic: SQLite then refuses it in indexes and generated columns.
	return made, made.native.RegisterScalarFunction(valuesFunction, 1, made.value)
}

func (d *scriptDrivers) giveBack(used *scriptDriver) {
	used.values = nil
	d.mutex.Lock()
	defer d.mutex.Unlock()
	d.free = append(d.free, used)
}

// value implements the function.
func (d *scriptDriver) value(_ *native.FunctionContext, args []driver.Value) (driver.Value, error) {
	if d.values == nil {
		return nil, errors.New("provisioner() is not available in a script that is marked as prepare, because its result " +
			"is the same for every tenant; remove the mark from the first line")
	}
	switch args[0] {
	case "tenant_id":
		return d.values.TenantID, nil
	case "display_name":
		return d.values.DisplayName, nil
	case "created_by":
		return d.values.CreatedBy, nil
	case "plan":
		return d.values.Plan, nil
	}
	return nil, fmt.Errorf("provisioner(%v) is not known; use 'tenant_id', 'display_name', 'created_by' or 'plan'",
		args[0])
}

// open returns the database of that name. Nothing is opened yet.
func (d *scriptDriver) open(name string) *databasesql.DB {
	// SQLite's own protection against damage, and without its reading of "text" as 'text', which hides misspelt names.
	return databasesql.OpenDB(scriptConnector{d, name + "&_defensive=1&_dqs=0"})
}

// scriptConnector opens connections with a scriptDriver.
type scriptConnector struct {
	*scriptDriver
	name string
}

func (c scriptConnector) Connect(context.Context) (driver.Conn, error) { return c.native.Open(c.name) }

func (c scriptConnector) Driver() driver.Driver { return &c.native }
