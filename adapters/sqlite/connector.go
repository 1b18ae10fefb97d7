package sqlite

import (
	"context"
	sqldriver "database/sql/driver"
	"fmt"
	"net/url"
	"os"
	"path/filepath"

	driver "modernc.org/sqlite"
)

// connector opens the connections of a file.
type connector struct {
	sqldriver.Connector
	file  *file
	guard *guard // nil: the connection only reads
}

// connector returns what opens connections in a mode of https://www.sqlite.org/uri.html,
// with further parameters of the driver. It is a URI, not a plain name, because a plain
// name ends at a question mark.
func (f *file) connector(mode, parameters string, g *guard) (sqldriver.Connector, error) {
	u := url.URL{Scheme: "file", Path: filepath.ToSlash(f.path)}
	u.RawQuery = "mode=" + mode + "&_synchronous=FULL&" + parameters
	c, err := driver.NewConnector(u.String())
	return connector{c, f, g}, err
}

// Connect implements [sqldriver.Connector].
func (c connector) Connect(ctx context.Context) (sqldriver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.file.inPlace(); err != nil {
		_ = conn.Close() // it was not used yet
		return nil, err
	}
	if c.guard != nil {
		c.guard.watch(conn.(driver.HookRegisterer))
	}
	return conn, nil
}

// inPlace makes sure that the path still leads to the file that was opened. If it was
// removed or replaced, the connections we have go on with a file that nobody will find
// any more: what they append is lost with it. And one opened now would read another log
// than they do, in the middle of a read.
func (f *file) inPlace() error {
	if f.opened == nil {
		return nil
	}
	if now, err := os.Stat(f.path); err != nil || !os.SameFile(f.opened, now) {
		return fmt.Errorf("%w: %s: close it and open it again", ErrReplaced, f.path)
	}
	return nil
}
