package testservers

import (
	"context"
	"fmt"
	"sync"

	"github.com/jackc/pgx/v5"
)

// NewDatabase makes a database that nobody else uses, as a copy of the template, and
// returns its name. No template: an empty one. A template must have no connections.
func (p *Postgres) NewDatabase(ctx context.Context, template string) (string, error) {
	if template == "" {
		template = "template1"
	}
	name := fmt.Sprintf("test_%d", p.databases.Add(1))
	if err := p.maintain(ctx, "CREATE DATABASE "+name+" TEMPLATE "+quoted(template)); err != nil {
		return "", fmt.Errorf("create a database from %s: %w", template, err)
	}
	return name, nil
}

// DropDatabase drops the database, and ends the connections to it.
func (p *Postgres) DropDatabase(ctx context.Context, name string) error {
	if err := p.maintain(ctx, "DROP DATABASE "+quoted(name)+" WITH (FORCE)"); err != nil {
		return fmt.Errorf("drop database %s: %w", name, err)
	}
	return nil
}

// maintenance is a connection that is kept: a test's database is made and dropped by two statements, and a
// connection for each would take longer than they do where processes are slow to begin.
type maintenance struct {
	mu   sync.Mutex
	conn *pgx.Conn // nil: none yet
}

// maintain runs a statement on the kept connection, or on a new one if the server has been away.
func (p *Postgres) maintain(ctx context.Context, statement string) error {
	m := &p.maintenance
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.conn == nil || m.conn.Ping(ctx) != nil {
		conn, err := p.connect(ctx)
		if err != nil {
			return err
		}
		m.conn = conn
	}
	_, err := m.conn.Exec(ctx, statement)
	return err
}

func quoted(name string) string { return pgx.Identifier{name}.Sanitize() }

// templates are the databases that others are copied from, by key.
type templates struct {
	mu   sync.Mutex
	name map[string]string
}

// Template returns the name of a database that fill has filled, for [Postgres.NewDatabase]
// to copy. The first call for a key fills it, the others wait for that; a fill that failed is
// tried again.
func (p *Postgres) Template(ctx context.Context, key string, fill func(ctx context.Context, url string) error) (string, error) {
	p.templates.mu.Lock()
	defer p.templates.mu.Unlock()
	if name, ok := p.templates.name[key]; ok {
		return name, nil
	}
	name, err := p.NewDatabase(ctx, "")
	if err != nil {
		return "", err
	}
	if err := fill(ctx, p.URL(name)); err != nil {
		return "", fmt.Errorf("fill the template database for %s: %w", key, err)
	}
	if err := p.seal(ctx, name); err != nil {
		return "", fmt.Errorf("close the template database for %s: %w", key, err)
	}
	if p.templates.name == nil {
		p.templates.name = map[string]string{}
	}
	p.templates.name[key] = name
	return name, nil
}

// seal lets nobody connect any more: CREATE DATABASE refuses a template that is in use. A
// pool that was closed may have backends for a moment still.
func (p *Postgres) seal(ctx context.Context, name string) error {
	if err := p.exec(ctx, "ALTER DATABASE "+quoted(name)+" WITH IS_TEMPLATE true ALLOW_CONNECTIONS false"); err != nil {
		return err
	}
	return p.require(ctx, `SELECT count(pg_terminate_backend(pid)) = 0 FROM pg_stat_activity WHERE datname = $1`, name)
}
