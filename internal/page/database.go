package page

import "time"

// Database is the state of this process's database connections.
type Database struct {
	InUse, Idle, Most int           // connections
	Waits             int64         // for a connection, since the process started
	Waited            time.Duration // in total
	Prepared          *Prepared     // nil: no pool
}

// Prepared is the state of the pool of prepared boundaries.
type Prepared struct {
	Ready, Target int64 // of all replicas
	Taken, Misses int64 // by attempts of this process, since it started
}
