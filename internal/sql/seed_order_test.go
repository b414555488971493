package sql_test

import (
	"strings"
	"testing"

	"example.com/tenant-provisioner/internal/sql"
)

func TestOrderOfSeeds(t *testing.T) {
	t.Parallel()
	for references, want := range map[string]string{
		"": "a b c d", "a>a": "a b c d", "a>d": "d a b c", "d>a": "a b c d", "a>b b>c c>d": "d c b a", "b>d c>d": "a d b c",
		"a>b a>c b>d c>d": "d b c a", "a>b a>c a>b": "b c a d", "a>b b>a": "cycle: a → b → a; ", "d>c c>b b>d": "cycle: b → d → c → b; ",
		"a>b b>c c>b": "cycle: b → c → b; ",
	} {
		var all []sql.SeedReference
		for _, one := range strings.Fields(references) {
			from, to, _ := strings.Cut(one, ">")
			all = append(all, sql.SeedReference{From: from, To: to})
		}
		order, err := sql.OrderSeeds([]string{"a", "b", "c", "d"}, all)
		if err != nil && strings.Contains(err.Error(), want) {
			continue
		}
		if err != nil || strings.Join(order, " ") != want {
			t.Errorf("%s: %v, %v, want %s", references, order, err, want)
		}
	}
}
