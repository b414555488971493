package doctest

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"example.com/tenant-provisioner/internal/testkit"
)

// The compose file agrees with the program. If Docker is installed, it must accept the file.
func TestComposeFile(t *testing.T) {
	t.Parallel()
	var file struct {
		Services map[string]struct {
			Environment map[string]string `json:"environment"`
			Grace       string            `json:"stop_grace_period"`
			Health      struct {
				Test []string `json:"test"`
			} `json:"healthcheck"`
		} `json:"services"`
	}
	const name = "docker-compose.yml"
	source, err := os.ReadFile(filepath.Join(root, name))
	testkit.Must(t, err)
	testkit.Must(t, yaml.Unmarshal(source, &file))
	service := file.Services["consumer"]
	knowsVariables(t, name, service.Environment)
	listensOnAllInterfaces(t, name, service.Environment["HTTP_ADDR"])
	grace, err := time.ParseDuration(service.Grace)
	testkit.Must(t, err)
	outlastsDraining(t, name, grace)
	if test := service.Health.Test; len(test) != 3 || test[1] != "/consumer" || test[2] != "health" {
		t.Errorf("the health check is %q", test)
	}

	// INIT_SCRIPTS refuses the superuser, which POSTGRES_USER of the image is.
	server := file.Services["postgres"].Environment
	if role := "://" + server["SERVICE_ROLE"] + ":"; !strings.Contains(service.Environment["DATABASE_URL"], role) ||
		server["SERVICE_ROLE"] == server["POSTGRES_USER"] {
		t.Errorf("the service has %s, the server %v", service.Environment["DATABASE_URL"], server)
	}

	// README.md says how its database is reached from the host.
	database := regexp.MustCompile(`\$\{\w+:-(\w+)\}`).ReplaceAllString(service.Environment["DATABASE_URL"], "$1")
	database = strings.Replace(database, "@postgres:", "@127.0.0.1:", 1)
	page, err := os.ReadFile(filepath.Join(root, "README.md"))
	testkit.Must(t, err)
	if !strings.Contains(string(page), "DATABASE_URL='"+database+"' ") {
		t.Errorf("README.md does not contain DATABASE_URL='%s'", database)
	}

	for _, compose := range [][]string{{"docker", "compose"}, {"docker-compose"}} {
		if exec.Command(compose[0], append(compose[1:], "version")...).Run() != nil {
			continue
		}
		cmd := exec.CommandContext(t.Context(), compose[0], append(compose[1:], "-f", name, "config", "-q")...)
		cmd.Dir = root
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%v: %v\n%s", compose, err, out)
		}
		return
	}
	t.Log("Docker is not installed; it has not read the file")
}
