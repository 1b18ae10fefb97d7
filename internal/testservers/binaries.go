package testservers

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// ErrUnavailable: this machine cannot run a server, for example because a program is not
// installed. The message says what to do. Tests skip themselves then.
var ErrUnavailable = errors.New("cannot run test servers on this machine")

// Available returns an [ErrUnavailable] unless every server of this package can run.
func Available() error {
	_, pgbouncer := program("pgbouncer", "pgbouncer")
	return errors.Join(PostgresAvailable(), RedisAvailable(), pgbouncer)
}

// PostgresAvailable returns an [ErrUnavailable] unless Postgres can run.
func PostgresAvailable() error {
	_, user := unprivileged()
	_, postgres := postgresPrograms()
	return errors.Join(user, postgres)
}

// RedisAvailable returns an [ErrUnavailable] unless Redis can run.
func RedisAvailable() error {
	_, user := unprivileged()
	_, redis := program("redis-server", "redis-server")
	return errors.Join(user, redis)
}

// postgresPrograms returns the directory of the newest Postgres. Debian keeps each major
// version in a directory of its own, outside PATH.
func postgresPrograms() (string, error) {
	found, err := filepath.Glob("/usr/lib/postgresql/*/bin/postgres")
	if err != nil {
		return "", err
	}
	if len(found) > 0 {
		return filepath.Dir(slices.MaxFunc(found, func(a, b string) int { return majorVersion(a) - majorVersion(b) })), nil
	}
	postgres, err := program("postgres", "postgresql")
	return filepath.Dir(postgres), err
}

// majorVersion of /usr/lib/postgresql/15/bin/postgres is 15.
func majorVersion(path string) int {
	version, _ := strconv.Atoi(strings.Split(path, "/")[4])
	return version
}

// program finds a program in PATH or where Debian puts servers, which is not in the PATH
// of every user.
func program(name, debianPackage string) (string, error) {
	for _, candidate := range []string{name, "/usr/sbin/" + name} {
		if path, err := exec.LookPath(candidate); err == nil {
			return filepath.Abs(path)
		}
	}
	return "", fmt.Errorf("%w: there is no %s: apt-get install %s", ErrUnavailable, name, debianPackage)
}
