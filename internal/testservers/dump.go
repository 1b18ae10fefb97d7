package testservers

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
)

// Dump returns a database as pg_dump -Fc writes it.
func (p *Postgres) Dump(ctx context.Context, database string) ([]byte, error) {
	return p.client(ctx, nil, "pg_dump", "--format=custom", "--dbname="+p.SocketURL(database))
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
