package sqlite

import "testing"

// Connections are counted whether they read or write.
func TestStat(t *testing.T) {
	t.Parallel()
	s := openStore(t)
	if stat := s.Stat(); stat.InUse != 0 || stat.MaxOpenConnections != 4 || stat.Idle != stat.OpenConnections || stat.Idle < 1 {
		t.Errorf("idle: %+v", stat)
	}
	reading, err := s.readDB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	writing, err := s.syncDB.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if stat := s.Stat(); stat.InUse != 2 {
		t.Errorf("one reads and one writes: %+v", stat)
	}
	if err := reading.Close(); err != nil {
		t.Error(err)
	}
	if err := writing.Close(); err != nil {
		t.Error(err)
	}
}
