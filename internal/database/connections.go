package database

import (
	"time"

	"github.com/IBM/pgxpoolprometheus"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"example.com/tenant-provisioner/internal/sql/postgres"
	"example.com/tenant-provisioner/internal/sql/sqlite"
)

// Connections is the state of a store's connections.
type Connections struct {
	InUse, Idle, Max int
	Waits            int64         // how often an attempt waited for a connection
	Waited           time.Duration // in total
}

// ConnectionsOf returns the state of a store's connections.
func ConnectionsOf(db Store) Connections {
	switch db := db.(type) {
	case *postgres.Store:
		stat := db.Stat()
		return Connections{
			InUse: int(stat.AcquiredConns()), Idle: int(stat.IdleConns()), Max: int(stat.MaxConns()),
			Waits: stat.EmptyAcquireCount(), Waited: stat.EmptyAcquireWaitTime(),
		}
	case *sqlite.Store:
		stat := db.Stat()
		return Connections{
			InUse: stat.InUse, Idle: stat.Idle, Max: stat.MaxOpenConnections, Waits: stat.WaitCount, Waited: stat.WaitDuration,
		}
	}
	return Connections{}
}

// Collectors are the metrics of a store's connections.
func Collectors(db Store) (list []prometheus.Collector) {
	switch db := db.(type) {
	case *postgres.Store:
		list = append(list, pgxpoolprometheus.NewCollector(db, nil))
	case *sqlite.Store:
		for name, pool := range db.Pools() {
			list = append(list, collectors.NewDBStatsCollector(pool, name))
		}
	}
	return list
}
