package load

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

var psqlTime = regexp.MustCompile(`Time: ([0-9.]+) ms`)

// PsqlCopy lets psql copy a whole table to /dev/null, in binary: as fast as Postgres can
// send rows and a C program can drop them. The time is psql's own, without its start. It
// returns the number of rows.
func PsqlCopy(ctx context.Context, url, table string) (rows int, took time.Duration, err error) {
	out, err := exec.CommandContext(ctx, psql(), "--no-psqlrc", url,
		"-c", `\timing on`, "-c", fmt.Sprintf(`\copy %s to '/dev/null' with (format binary)`, table)).CombinedOutput()
	if err != nil {
		return 0, 0, fmt.Errorf("psql: %w: %s", err, out)
	}
	count, milliseconds := regexp.MustCompile(`COPY (\d+)`).FindSubmatch(out), psqlTime.FindSubmatch(out)
	if count == nil || milliseconds == nil {
		return 0, 0, fmt.Errorf("psql says %q", out)
	}
	rows, err = strconv.Atoi(string(count[1]))
	if err != nil {
		return 0, 0, err
	}
	ms, err := strconv.ParseFloat(string(milliseconds[1]), 64)
	return rows, time.Duration(ms * float64(time.Millisecond)), err
}

// psql is the one of the newest Postgres that Debian has installed, or that of PATH.
func psql() string {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/psql")
	if len(found) == 0 {
		return "psql"
	}
	return found[len(found)-1]
}
