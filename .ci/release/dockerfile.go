package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/moby/buildkit/frontend/dockerfile/instructions"
	"github.com/moby/buildkit/frontend/dockerfile/parser"
	"github.com/moby/buildkit/frontend/dockerfile/shell"
)

// dockerConfig is the configuration of the image that the last stage of the repository's Dockerfile describes, with
// these arguments of the build. It is the one definition: an instruction that it cannot translate is an error. It leaves
// out which files the image has; see repository.image.
func (r *repository) dockerConfig(arguments map[string]string) (v1.Config, error) {
	text, err := os.ReadFile(filepath.Join(r.dir, "Dockerfile"))
	if err != nil {
		return v1.Config{}, err
	}
	file, err := parser.Parse(bytes.NewReader(text))
	if err != nil {
		return v1.Config{}, fmt.Errorf("Dockerfile: %w", err)
	}
	stages, _, err := instructions.Parse(file.AST, nil)
	if err != nil {
		return v1.Config{}, fmt.Errorf("Dockerfile: %w", err)
	}
	// docker build sets the path, for an image that starts empty too.
	c := v1.Config{Env: []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}}
	known := known{}
	lex := shell.NewLex(file.EscapeToken)
	for _, command := range stages[len(stages)-1].Commands {
		if argument, ok := command.(*instructions.ArgCommand); ok {
			for _, a := range argument.Args {
				value, given := arguments[a.Key]
				if !given {
					return c, fmt.Errorf("Dockerfile: ARG %s: the release has no value for it", a.Key)
				}
				known[a.Key] = value
			}
			continue
		}
		if command, ok := command.(instructions.SupportsSingleWordExpansion); ok {
			err := command.Expand(func(word string) (string, error) {
				result, _, err := lex.ProcessWord(word, known)
				return result, err
			})
			if err != nil {
				return c, fmt.Errorf("Dockerfile: %w", err)
			}
		}
		if err := apply(&c, command); err != nil {
			return c, fmt.Errorf("Dockerfile: %w", err)
		}
	}
	return c, nil
}

// apply changes the configuration as docker build does.
func apply(c *v1.Config, command instructions.Command) error {
	switch command := command.(type) {
	case *instructions.CopyCommand: // files, see repository.image
	case *instructions.LabelCommand:
		for _, label := range command.Labels {
			if c.Labels == nil {
				c.Labels = map[string]string{}
			}
			c.Labels[label.Key] = label.Value
		}
	case *instructions.EnvCommand:
		for _, env := range command.Env {
			c.Env = append(c.Env, env.Key+"="+env.Value)
		}
	case *instructions.UserCommand:
		c.User = command.User
	case *instructions.WorkdirCommand:
		c.WorkingDir = command.Path
	case *instructions.VolumeCommand:
		c.Volumes = set(command.Volumes)
	case *instructions.ExposeCommand:
		c.ExposedPorts = map[string]struct{}{}
		for _, port := range command.Ports {
			if !strings.Contains(port, "/") {
				port += "/tcp"
			}
			c.ExposedPorts[port] = struct{}{}
		}
	case *instructions.EntrypointCommand:
		if command.PrependShell {
			return fmt.Errorf("ENTRYPOINT %q needs a shell, which the image lacks", command.CmdLine)
		}
		c.Entrypoint = command.CmdLine
	case *instructions.HealthCheckCommand:
		h := command.Health
		c.Healthcheck = &v1.HealthConfig{
			Test: h.Test, Interval: h.Interval, Timeout: h.Timeout, StartPeriod: h.StartPeriod, Retries: h.Retries,
		}
	default:
		return fmt.Errorf("%s in the last stage: .ci/release/dockerfile.go cannot translate it", command.Name())
	}
	return nil
}

func set(names []string) map[string]struct{} {
	all := map[string]struct{}{}
	for _, name := range names {
		all[name] = struct{}{}
	}
	return all
}

// known are the values of a Dockerfile's arguments.
type known map[string]string

func (k known) Get(name string) (string, bool) { value, ok := k[name]; return value, ok }

func (k known) Keys() (names []string) {
	for name := range k {
		names = append(names, name)
	}
	return names
}
