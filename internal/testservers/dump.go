package testservers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// Dump returns a database as pg_dump -Fc writes it.
func (p *Postgres) Dump(ctx context.Context, database string) ([]byte, error) {
	return p.client(ctx, nil, "pg_dump", "--format=custom", "--dbname="+p.SocketURL(database))
}

// DumpSQL returns a schema of a database as SQL that any client can run, the same for the
// same content whatever the version of pg_dump. Owners are left out.
func (p *Postgres) DumpSQL(ctx context.Context, database, schema string) (string, error) {
	dump, err := p.client(ctx, nil, "pg_dump", "--inserts", "--no-owner", "--schema="+quoted(schema), "--dbname="+p.SocketURL(database))
	if err != nil {
		return "", err
	}
	var sql strings.Builder
	for line := range strings.Lines(string(dump)) {
		switch {
		case strings.HasPrefix(line, "-- Dumped "): // the versions
		case strings.HasPrefix(line, `\restrict `), strings.HasPrefix(line, `\unrestrict `): // psql's own, with a random key
		default:
			sql.WriteString(line)
		}
	}
	return sql.String(), nil
}

// Load fills an empty database with a dump of [Postgres.Dump], all or nothing.
func (p *Postgres) Load(ctx context.Context, database string, dump []byte) error {
	_, err := p.client(ctx, dump, "pg_restore", "--exit-on-error", "--single-transaction", "--dbname="+p.SocketURL(database))
	return err
}

// client runs one of Postgres's client programs.
func (p *Postgres) client(ctx context.Context, stdin []byte, name string, args ...string) ([]byte, error) {
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, p.program(name), args...)
	p.adopt(cmd)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", name, err, stderr.Bytes())
	}
	return stdout.Bytes(), nil
}
