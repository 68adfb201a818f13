// Package config is the configuration of the processes: one struct, its defaults, and
// where each field comes from. Zero configuration runs. It does not open or start
// anything.
package config

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"github.com/caarlos0/env/v11"
)

// Config is the configuration of a process. Every field is set by an environment
// variable; the reference in docs/configuration.md is made from the tags.
type Config struct {
	HTTP       string `env:"SIGNBUS_HTTP" desc:"Address of the HTTP server, host:port." since:"0.1"`
	PublicURL  string `env:"SIGNBUS_PUBLIC_URL" desc:"Address under which signers reach the signing pages. Default: http:// and SIGNBUS_HTTP." since:"0.1"`
	NATS       string `env:"SIGNBUS_NATS" desc:"host:port on which the embedded NATS server listens, or the nats:// address of an outside server (2.14.3 or newer, sync_interval: always)." since:"0.1"`
	NATSConfig string `env:"SIGNBUS_NATS_CONFIG" desc:"Configuration file, in nats-server's own form, with the accounts that may connect to the embedded NATS server; see deploy/nats.conf. Without it, and without SIGNBUS_DEV, the server does not listen." since:"0.1"`
	NATSCreds  string `env:"SIGNBUS_NATS_CREDS" desc:"Credentials file for an outside NATS server." since:"0.1"`
	Replicas   int    `env:"SIGNBUS_NATS_REPLICAS" desc:"Copies of each stream: 1, or 3 in a NATS cluster." since:"0.1"`
	Data       string `env:"SIGNBUS_DATA" desc:"Folder of everything the bus keeps: streams, database, documents, keys." since:"0.1"`
	DB         string `env:"SIGNBUS_DB" desc:"Database: sqlite:PATH or a postgres:// address. Default: sqlite: and signbus.db in SIGNBUS_DATA." since:"0.1"`
	Dev        bool   `env:"SIGNBUS_DEV" desc:"Development: customer demo with its users, a NATS port without authentication on loopback, mails printed, webhooks to this machine allowed. Never with real documents." since:"0.1"`
	Directory  string `env:"SIGNBUS_DIRECTORY" desc:"JSON file with customers, keys, users and roles to create or update at the start." since:"0.1"`

	Secret     string `env:"SIGNBUS_SECRET" desc:"Secret that protects signing keys and signing links; at least 32 characters. Default: a random one kept in SIGNBUS_DATA." since:"0.1" secret:"true"`
	SecretFile string `env:"SIGNBUS_SECRET_FILE" desc:"File that holds SIGNBUS_SECRET." since:"0.1"`

	SMTP     string `env:"SIGNBUS_SMTP" desc:"Mail server: smtp://user:password@host:port (STARTTLS) or smtps://. Default: with SIGNBUS_DEV mails are printed; without, no mail is sent and signers cannot get codes." since:"0.1" secret:"true"`
	MailFrom string `env:"SIGNBUS_MAIL_FROM" desc:"Sender of the mails." since:"0.1"`

	TSA        []string      `env:"SIGNBUS_TSA" desc:"Addresses of RFC 3161 time-stamping authorities, the preferred one first; a password may stand in an address. Default: the built-in one." since:"0.1"`
	TSATrust   string        `env:"SIGNBUS_TSA_TRUST" desc:"PEM file with the certificates that vouch for the authorities of SIGNBUS_TSA. Default: those that this machine trusts." since:"0.1"`
	TSATimeout time.Duration `env:"SIGNBUS_TSA_TIMEOUT" desc:"How long one time-stamping authority may take before the next is asked." since:"0.1"`
	TSARate    int           `env:"SIGNBUS_TSA_RATE" desc:"Requests a second that the built-in time-stamping authority answers at /pki/tsa, in each process; 0 for no limit." since:"0.1"`

	CertificateLife time.Duration `env:"SIGNBUS_CERTIFICATE_LIFE" desc:"How long a person's certificate of the built-in authority is valid; at least 1h. It is replaced when a third is left." since:"0.1"`
	SealKey         string        `env:"SIGNBUS_SEAL_KEY" desc:"Key and certificates for the seals of every customer: a PKCS #12 or PEM file, or a pkcs11: address in builds for tokens. Default: a certificate of the built-in authority for each customer." since:"0.1"`
	SealPassphrase  string        `env:"SIGNBUS_SEAL_PASSPHRASE_FILE" desc:"File that holds the passphrase or PIN of SIGNBUS_SEAL_KEY." since:"0.1"`
	EscrowCert      string        `env:"SIGNBUS_ESCROW_CERT" desc:"PEM file with 1 to 8 certificates; the holder of the key of any of them can open graphometric recordings, nobody else. Without it GRAPHO_FEA envelopes are refused." since:"0.1"`
	RevocationAllow []string      `env:"SIGNBUS_REVOCATION_ALLOW" desc:"Private address ranges where OCSP responders and CRLs of outside certificates may be, such as 10.1.0.0/16. Default: none." since:"0.1"`

	MaxBody         int64           `env:"SIGNBUS_MAX_BODY" desc:"Largest HTTP body in bytes." since:"0.1"`
	MaxPages        int             `env:"SIGNBUS_MAX_PAGES" desc:"Most pages in one document." since:"0.1"`
	Wait            time.Duration   `env:"SIGNBUS_WAIT" desc:"How long a synchronous call waits for its outcome." since:"0.1"`
	WebhookAllow    []string        `env:"SIGNBUS_WEBHOOK_ALLOW" desc:"Private address ranges that webhooks may go to, such as 10.1.0.0/16. Default: none." since:"0.1"`
	WebhookHTTP     bool            `env:"SIGNBUS_WEBHOOK_HTTP" desc:"Allow webhooks over http://." since:"0.1"`
	WebhookSchedule []time.Duration `env:"SIGNBUS_WEBHOOK_SCHEDULE" desc:"Pauses between the attempts to deliver an event." since:"0.1"`
	EventsAge       time.Duration   `env:"SIGNBUS_EVENTS_AGE" desc:"How long events can be replayed." since:"0.1"`
	StreamBytes     int64           `env:"SIGNBUS_STREAM_BYTES" desc:"Largest size of each of the four streams in bytes, reserved on the disk; a full queue refuses publishers. Default: 2 GiB; with SIGNBUS_DEV 256 MiB." since:"0.1"`

	LogLevel  string        `env:"SIGNBUS_LOG_LEVEL" desc:"debug, info, warn or error." since:"0.1"`
	LogFormat string        `env:"SIGNBUS_LOG_FORMAT" desc:"text or json." since:"0.1"`
	StopAfter time.Duration `env:"SIGNBUS_STOP_AFTER" desc:"How long a graceful stop may take." since:"0.1"`
}

// Default returns the configuration that runs with nothing set.
func Default() Config {
	return Config{
		HTTP: "127.0.0.1:8080", NATS: "127.0.0.1:4222", Data: "./data", Replicas: 1,
		TSATimeout: 15 * time.Second, TSARate: 100, CertificateLife: 30 * 24 * time.Hour,
		MailFrom: "signbus@localhost", MaxBody: 64 << 20, MaxPages: 5000, Wait: 30 * time.Second,
		WebhookSchedule: []time.Duration{
			5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
			10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		},
		EventsAge: 90 * 24 * time.Hour,
		LogLevel:  "info", LogFormat: "text", StopAfter: 10 * time.Second,
	}
}

// clientPrefix and keyPrefix begin the variables of the command line's client and of its keys.
const (
	clientPrefix = "SIGNBUS_CLIENT_"
	keyPrefix    = "SIGNBUS_KEY_"
)

// Load returns the defaults with what the environment sets.
func Load(environ []string) (Config, error) {
	cfg := Default()
	vars := env.ToMap(environ)
	// The library appends to a default list instead of replacing it.
	if _, ok := vars["SIGNBUS_WEBHOOK_SCHEDULE"]; ok {
		cfg.WebhookSchedule = nil
	}
	if err := env.ParseWithOptions(&cfg, env.Options{Environment: vars}); err != nil {
		return cfg, fmt.Errorf("configuration: %w", err)
	}
	var unknown []error
	known := map[string]bool{}
	for _, v := range Reference() {
		known[v.Env] = true
	}
	for name := range vars {
		if strings.HasPrefix(name, "SIGNBUS_") && !strings.HasPrefix(name, clientPrefix) && !strings.HasPrefix(name, keyPrefix) && !known[name] {
			unknown = append(unknown, fmt.Errorf("configuration: %s is not known; `signbus config` lists all", name))
		}
	}
	return cfg, errors.Join(unknown...)
}

// Complete fills in what depends on other fields and reads the secret's file.
func (c *Config) Complete() error {
	if c.DB == "" {
		c.DB = "sqlite:" + filepath.Join(c.Data, "signbus.db")
	}
	if c.PublicURL == "" {
		c.PublicURL = "http://" + c.HTTP
	}
	c.PublicURL = strings.TrimSuffix(c.PublicURL, "/")
	if c.StreamBytes == 0 {
		if c.StreamBytes = 2 << 30; c.Dev {
			c.StreamBytes = 256 << 20
		}
	}
	if c.SecretFile != "" {
		data, err := os.ReadFile(c.SecretFile)
		if err != nil {
			return fmt.Errorf("configuration: SIGNBUS_SECRET_FILE: %w", err)
		}
		c.Secret = strings.TrimSpace(string(data))
	}
	if c.Dev {
		c.WebhookHTTP = true
		c.WebhookAllow = append(c.WebhookAllow, "127.0.0.0/8", "::1/128")
	}
	return c.Validate()
}

// minSecret is 128 bits in hexadecimal.
const minSecret = 32

// Validate reports every problem at once.
func (c *Config) Validate() error {
	var errs []error
	problem := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf("configuration: "+format, args...))
		}
	}
	host, _, err := net.SplitHostPort(c.HTTP)
	problem(err == nil, "SIGNBUS_HTTP: %q is not host:port", c.HTTP)
	problem(!c.Dev || err != nil || loopback(host),
		"SIGNBUS_HTTP: development mode shows mails and codes to whoever asks, so it listens on loopback only, not on %q", host)
	if !c.OutsideNATS() {
		host, _, err := net.SplitHostPort(c.NATS)
		problem(err == nil, "SIGNBUS_NATS: %q is neither host:port nor a nats:// address", c.NATS)
		problem(!c.Dev || loopback(host),
			"SIGNBUS_NATS: development mode has no authentication, so it listens on loopback only, not on %q", host)
	}
	problem(c.Replicas >= 1 && c.Replicas <= 5, "SIGNBUS_NATS_REPLICAS: %d is not between 1 and 5", c.Replicas)
	problem(c.Secret == "" || len(c.Secret) >= minSecret, "SIGNBUS_SECRET: must have at least %d characters", minSecret)
	problem(c.MaxBody > 0, "SIGNBUS_MAX_BODY: must be positive")
	problem(c.MaxPages > 0, "SIGNBUS_MAX_PAGES: must be positive")
	problem(c.Wait > 0, "SIGNBUS_WAIT: must be positive")
	problem(c.StopAfter > 0, "SIGNBUS_STOP_AFTER: must be positive")
	problem(c.StreamBytes > 0, "SIGNBUS_STREAM_BYTES: must be positive")
	u, err := url.Parse(c.PublicURL)
	problem(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "SIGNBUS_PUBLIC_URL: is not an http or https address")
	if c.SMTP != "" {
		u, err := url.Parse(c.SMTP)
		problem(err == nil && (u.Scheme == "smtp" || u.Scheme == "smtps") && u.Host != "", "SIGNBUS_SMTP: is not an smtp:// or smtps:// address")
	}
	for _, cidr := range c.WebhookAllow {
		_, err := netip.ParsePrefix(cidr)
		problem(err == nil, "SIGNBUS_WEBHOOK_ALLOW: %q is not an address range", cidr)
	}
	for _, address := range c.TSA {
		u, err := url.Parse(address)
		problem(err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != "", "SIGNBUS_TSA: holds what is not an http or https address")
	}
	problem(c.TSATimeout > 0, "SIGNBUS_TSA_TIMEOUT: must be positive")
	problem(c.TSARate >= 0, "SIGNBUS_TSA_RATE: must not be negative")
	problem(c.CertificateLife >= time.Hour, "SIGNBUS_CERTIFICATE_LIFE: must be at least 1h")
	for _, cidr := range c.RevocationAllow {
		_, err := netip.ParsePrefix(cidr)
		problem(err == nil, "SIGNBUS_REVOCATION_ALLOW: %q is not an address range", cidr)
	}
	for _, pause := range c.WebhookSchedule {
		problem(pause > 0, "SIGNBUS_WEBHOOK_SCHEDULE: pauses must be positive")
	}
	return errors.Join(errs...)
}

func loopback(host string) bool {
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || (err == nil && ip.IsLoopback())
}

// OutsideNATS says whether NATS names a server outside of the process.
func (c *Config) OutsideNATS() bool { return strings.Contains(c.NATS, "://") }

// Variable describes one environment variable.
type Variable struct {
	// Env is its name, Description what it does, Default its value when not set.
	Env, Description, Default string
	// Since is the version that brought it.
	Since string
	// Value is the current value; secrets are hidden.
	Value string
}

// Reference returns every variable in order, with the default values.
func Reference() []Variable { return Default().Describe() }

// Describe returns every variable in order, with the values of c.
func (c Config) Describe() []Variable {
	var list []Variable
	fields, current, defaults := reflect.TypeFor[Config](), reflect.ValueOf(c), reflect.ValueOf(Default())
	for i := range fields.NumField() {
		tag := fields.Field(i).Tag
		v := Variable{
			Env: tag.Get("env"), Description: tag.Get("desc"), Since: tag.Get("since"),
			Default: text(defaults.Field(i)), Value: text(current.Field(i)),
		}
		if tag.Get("secret") != "" && v.Value != "" {
			v.Value = "(set)"
		}
		addresses := strings.Split(v.Value, ",")
		for i, address := range addresses {
			if u, err := url.Parse(address); err == nil && u.User != nil {
				addresses[i] = u.Redacted() // a password in an address
			}
		}
		v.Value = strings.Join(addresses, ",")
		list = append(list, v)
	}
	return list
}

func text(v reflect.Value) string {
	if v.Kind() != reflect.Slice {
		return fmt.Sprint(v.Interface())
	}
	parts := make([]string, 0, v.Len())
	for i := range v.Len() {
		parts = append(parts, fmt.Sprint(v.Index(i).Interface()))
	}
	return strings.Join(parts, ",")
}
