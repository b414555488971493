package spelling

import "testing"

func TestClosest(t *testing.T) {
	t.Parallel()
	known := []string{"NATS_URL", "NATS_CREDS", "DATABASE_URL", "HTTP_ADDR", "show", "replay"}
	for word, want := range map[string]string{
		"DATABASE_URI": "DATABASE_URL", "DATABASEURL": "DATABASE_URL", "database-url": "DATABASE_URL", "DATABSAE_URL": "DATABASE_URL",
		"NATS_URLS": "NATS_URL", "shwo": "show", "sho": "show", "raplay": "replay",
		"NATS_PORT": "", "HTTP_PROXY": "", "PATH": "", "s": "", "": "", "DATABASE_USER": "",
	} {
		if got := Closest(word, known); got != want {
			t.Errorf("%q: %q, want %q", word, got, want)
		}
	}
}
