package recovery

import (
	"testing"

	"example.com/tenant-provisioner/internal/handler"
	"example.com/tenant-provisioner/internal/sql"
	"example.com/tenant-provisioner/internal/testkit"
)

// Every state of the two sides: which of them may be served together.
func TestStampsThatBelongTogether(t *testing.T) {
	const own, other = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
	some := []string{"TENANT_EVENTS"}
	for name, c := range map[string]struct {
		given   bool // the registry has given its id to streams
		streams handler.StreamStamps
		refused bool
	}{
		"first start of an existing installation":                 {false, handler.StreamStamps{Unstamped: some}, false},
		"first start, no streams":                                 {false, handler.StreamStamps{}, false},
		"killed after the streams got the id":                     {false, handler.StreamStamps{ID: own}, false},
		"killed between two streams":                              {false, handler.StreamStamps{ID: own, Unstamped: some}, false},
		"in operation":                                            {true, handler.StreamStamps{ID: own}, false},
		"one stream was made by hand":                             {true, handler.StreamStamps{ID: own, Unstamped: some}, false},
		"all streams are lost":                                    {true, handler.StreamStamps{}, false},
		"streams of before the first stamp, or of another NATS":   {true, handler.StreamStamps{Unstamped: some}, true},
		"a registry of before the first stamp, another's streams": {false, handler.StreamStamps{ID: other}, true},
		"another's streams":                                       {true, handler.StreamStamps{ID: other}, true},
		"another's streams, one made by hand":                     {true, handler.StreamStamps{ID: other, Unstamped: some}, true},
	} {
		err := CheckStamps(sql.Stamp{ID: own, Streams: c.given}, c.streams)
		testkit.Equal(t, name+": refused", err != nil, c.refused)
	}
}
