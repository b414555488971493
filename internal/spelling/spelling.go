// Package spelling finds the name that a person probably meant.
package spelling

import "strings"

// Closest returns the known name that word resembles most, or "" if it resembles none. Case, hyphens and underscores
// do not count. Two characters may differ, in a short word one.
func Closest(word string, known []string) string {
	const short = 5
	best, closest := "", 3
	if len(word) < short {
		closest = 2
	}
	for _, name := range known {
		if d := distance(plain(word), plain(name)); d < closest {
			best, closest = name, d
		}
	}
	return best
}

func plain(name string) string {
	return strings.NewReplacer("-", "", "_", "").Replace(strings.ToLower(name))
}

// distance counts the characters to insert, delete, replace or swap with their neighbour that turn a into b.
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
