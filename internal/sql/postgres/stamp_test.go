package postgres

import "testing"

func TestStampOfComment(t *testing.T) {
	t.Parallel()
	const id = "0b6d2f0e-5a55-4c4e-9d7b-3a8c2a5f7f11"
	for comment, want := range map[string]string{
		"":                            "",
		"billing":                     "",
		stampPrefix:                   "",
		stampPrefix + id:              id,
		stampPrefix + id + " of shop": id,
		stampPrefix + id + "\nshop":   id,
		stampPrefix + id + "0":        "",
		stampPrefix + id[1:]:          "",
		stampPrefix + "x" + id[1:]:    "",
		"our " + stampPrefix + id:     "",
		stampPrefix + "0B6D2F0E-5A55-4C4E-9D7B-3A8C2A5F7F11": id,
	} {
		if got := stampOf(comment); got != want {
			t.Errorf("%q: %q, want %q", comment, got, want)
		}
	}
	var s Store
	registry := id
	s.registryID.Store(&registry)
	if got, want := s.stampSQL(`a"b`), `COMMENT ON SCHEMA "a""b" IS '`+stampPrefix+id+"'"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}
