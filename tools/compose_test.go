package tools

import (
	"net/url"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"gopkg.in/yaml.v3"
)

// compose is as much of docker-compose.yml as the checks need.
type compose struct {
	Services map[string]composeService
	Networks map[string]struct{ Internal bool }
	Volumes  map[string]any
}

type composeService struct {
	Image string
	Build *struct {
		Context, Dockerfile, Target string
		Args                        map[string]string
	}
	Command     []string
	Entrypoint  []string
	User        string
	ReadOnly    bool     `yaml:"read_only"`
	CapDrop     []string `yaml:"cap_drop"`
	SecurityOpt []string `yaml:"security_opt"`
	Privileged  bool
	Environment map[string]string
	Ports       []string
	Networks    []string
	Volumes     []string
	DependsOn   map[string]struct{ Condition string } `yaml:"depends_on"`
	Healthcheck struct {
		Test    []string
		Disable bool
	}
}

func composition(t *testing.T) compose {
	t.Helper()
	var c compose
	require.NoError(t, yaml.Unmarshal([]byte(read(t, "docker-compose.yml")), &c))
	return c
}

// TestComposeServices: the third shape is the six services as six processes, each with an
// image of its own that exists, confined, checked for health and started in order.
func TestComposeServices(t *testing.T) {
	c := composition(t)
	all := stages(t)
	for _, name := range append([]string{"migrate"}, services...) {
		s, ok := c.Services[name]
		require.Truef(t, ok, "docker-compose.yml has no service %s", name)
		require.NotNilf(t, s.Build, "%s has no build", name)
		require.Equal(t, dockerfile, s.Build.Dockerfile)
		_, ok = stageNamed(all, s.Build.Target)
		require.Truef(t, ok, "%s is built from target %s, which %s does not have", name, s.Build.Target, dockerfile)
		require.Contains(t, s.Build.Args, "VERSION")

		require.Truef(t, s.ReadOnly, "%s may write to its root file system", name)
		require.Equal(t, []string{"ALL"}, s.CapDrop, name)
		require.Contains(t, s.SecurityOpt, "no-new-privileges:true", name)
		require.Falsef(t, s.Privileged || s.User != "" || len(s.Entrypoint) > 0, "%s overrides what the image fixes", name)
		require.Contains(t, s.Networks, "bus", name)
	}
	for _, name := range services {
		s := c.Services[name]
		require.Equal(t, name, s.Build.Target)
		require.Emptyf(t, s.Command, "%s is a program of its own and takes no command", name)
		require.Equal(t, "service_healthy", s.DependsOn["nats"].Condition, name)
		require.Equal(t, "service_healthy", s.DependsOn["postgres"].Condition, name)
		require.Equal(t, "service_completed_successfully", s.DependsOn["migrate"].Condition, name)
		require.Contains(t, s.Volumes, "data:/data", "%s does not see the documents", name)
	}
	require.Equal(t, []string{"migrate"}, c.Services["migrate"].Command)
	require.Equal(t, "signbus", c.Services["migrate"].Build.Target)
	require.Len(t, c.Services, len(services)+3, "nats, postgres, migrate and the services")
}

// TestComposeHealth: what others wait for has a health check that fits the address it listens on.
func TestComposeHealth(t *testing.T) {
	c := composition(t)
	for name, s := range c.Services {
		for other, d := range s.DependsOn {
			target, ok := c.Services[other]
			require.Truef(t, ok, "%s waits for %s, which is not there", name, other)
			if d.Condition == "service_healthy" {
				require.NotEmptyf(t, target.Healthcheck.Test, "%s waits for the health of %s, which has no check", name, other)
			}
		}
	}
	for _, name := range services {
		s := c.Services[name]
		_, port, _ := strings.Cut(s.Environment["SIGNBUS_HTTP"], ":")
		require.Equal(t, []string{"CMD", "/usr/bin/signbus", "health", "--url", "http://127.0.0.1:" + port + "/readyz"},
			s.Healthcheck.Test, name)
	}
}

// TestComposePorts: only what the outside needs is published, on loopback, and each
// published port is one that the container listens on.
func TestComposePorts(t *testing.T) {
	c := composition(t)
	published := map[string]string{}
	for name, s := range c.Services {
		for _, p := range s.Ports {
			parts := strings.Split(p, ":")
			require.Lenf(t, parts, 3, "%s: %s does not say where it is published", name, p)
			require.Equalf(t, "127.0.0.1", parts[0], "%s is published beyond this machine", name)
			require.Emptyf(t, published[parts[1]], "%s and %s are both published on %s", name, published[parts[1]], parts[1])
			published[parts[1]] = name
			require.Equalf(t, listens(t, name, s), parts[2], "%s does not listen on %s", name, parts[2])
			require.Containsf(t, s.Networks, "outside", "%s is published but on an internal network only", name)
		}
	}
	require.Equal(t, map[string]string{"4222": "nats", "8080": "intake", "8081": "signature-book"}, published)
	require.True(t, c.Networks["bus"].Internal)
}

func listens(t *testing.T, name string, s composeService) string {
	t.Helper()
	if name == "nats" {
		match := regexp.MustCompile(`(?m)^port: (\d+)$`).FindStringSubmatch(read(t, "deploy/nats.conf"))
		require.NotNil(t, match)
		return match[1]
	}
	_, port, _ := strings.Cut(s.Environment["SIGNBUS_HTTP"], ":")
	return port
}

// TestComposeEnvironment: every variable is one that the programs know, addresses lead to
// services that exist, and no secret has a value in the file.
func TestComposeEnvironment(t *testing.T) {
	c := composition(t)
	known := variables(t)
	required := regexp.MustCompile(`^\$\{[A-Z_]+:\?[^}]+\}$`)
	example := read(t, "deploy/env.example")
	for name, s := range c.Services {
		for variable, value := range s.Environment {
			if s.Build != nil {
				require.Containsf(t, known, variable, "%s sets %s, which pkg/config does not know", name, variable)
			}
			if secret(variable) {
				require.Regexpf(t, required, value, "%s: %s has a value or a default", name, variable)
			}
			for _, placeholder := range regexp.MustCompile(`\$\{([A-Z_]+)`).FindAllStringSubmatch(value, -1) {
				require.Containsf(t, example, placeholder[1]+"=", "deploy/env.example does not have %s", placeholder[1])
			}
			checkAddress(t, c, name, value)
		}
	}
	for line := range strings.SplitSeq(example, "\n") {
		variable, value, ok := strings.Cut(line, "=")
		if ok && !strings.HasPrefix(line, "#") && secret(variable) {
			require.Emptyf(t, value, "deploy/env.example gives %s a value", variable)
		}
	}
}

func secret(variable string) bool {
	return strings.HasSuffix(variable, "PASSWORD") || strings.HasSuffix(variable, "SECRET")
}

// checkAddress checks a value that is a URL: host and port of another service, and a
// password that is a placeholder without default.
func checkAddress(t *testing.T, c compose, name, value string) {
	t.Helper()
	if !strings.Contains(value, "://") || strings.HasPrefix(value, "${") {
		return
	}
	placeholder := regexp.MustCompile(`\$\{[A-Z_]+:\?[^}]+\}`)
	u, err := url.Parse(placeholder.ReplaceAllString(value, "PLACEHOLDER"))
	require.NoError(t, err, name)
	password, _ := u.User.Password()
	require.Equalf(t, "PLACEHOLDER", password, "%s: the password in %s has a value or a default", name, u.Redacted())
	target, ok := c.Services[u.Hostname()]
	require.Truef(t, ok, "%s: %s is not a service", name, u.Hostname())
	require.Containsf(t, target.Networks, "bus", "%s cannot reach %s", name, u.Hostname())
	ports := map[string]string{"nats": "4222", "postgres": "5432"}
	require.Equal(t, ports[u.Hostname()], u.Port())
}

// variables returns the names that pkg/config knows, written in full or below env tags
// whose prefix SIGNBUS_ is given once.
func variables(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, name := range files(t) {
		if !strings.HasPrefix(name, "pkg/config/") || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		source := read(t, name)
		names = append(names, regexp.MustCompile(`SIGNBUS_[A-Z0-9_]+`).FindAllString(source, -1)...)
		for _, match := range regexp.MustCompile(`env:"([A-Z0-9_]+)`).FindAllStringSubmatch(source, -1) {
			names = append(names, "SIGNBUS_"+strings.TrimPrefix(match[1], "SIGNBUS_"))
		}
	}
	require.NotEmpty(t, names, "pkg/config names no variables")
	return names
}

// TestComposeVolumes: what must outlive a container is on a named volume that is declared.
func TestComposeVolumes(t *testing.T) {
	c := composition(t)
	var used []string
	for name, s := range c.Services {
		for _, v := range s.Volumes {
			source, _, _ := strings.Cut(v, ":")
			if strings.HasPrefix(source, "./") {
				require.Truef(t, exists(t, source), "%s mounts %s, which is not there", name, source)
				require.Truef(t, strings.HasSuffix(v, ":ro"), "%s may change %s", name, source)
				continue
			}
			require.Containsf(t, c.Volumes, source, "%s mounts %s, which is not declared", name, source)
			used = append(used, source)
		}
	}
	for name := range c.Volumes {
		require.Truef(t, slices.Contains(used, name), "nothing uses the volume %s", name)
	}
	require.Contains(t, c.Services["nats"].Volumes, "streams:/data")
	require.Contains(t, read(t, "deploy/nats.conf"), "store_dir: /data")
}

// TestComposeIsAccepted asks Docker's own reader where this machine has it; the other tests
// in this file check the same file by themselves.
func TestComposeIsAccepted(t *testing.T) {
	if exec.CommandContext(t.Context(), "docker", "compose", "version").Run() != nil {
		t.Log("docker compose is not installed: the other tests of this file stand alone")
		return
	}
	cmd := exec.CommandContext(t.Context(), "docker", "compose", "config", "--quiet")
	cmd.Dir = root(t)
	cmd.Env = append(os.Environ(), "SIGNBUS_POSTGRES_PASSWORD=a", "SIGNBUS_NATS_PASSWORD=b", "SIGNBUS_NATS_DEMO_ERP_PASSWORD=c", "SIGNBUS_SECRET=d")
	out, err := cmd.CombinedOutput()
	require.NoErrorf(t, err, "%s", out)
}
