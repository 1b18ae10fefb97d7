package postgres

import (
	"bufio"
	"io"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
)

// readSize is how much is asked of a socket at a time. The driver asks for 8 KiB, as much as
// the server sends at a time, and so for every such piece; a replay is a fifth faster if it
// may get two that are there already.
const readSize = 16 << 10

// readLarge makes the connections of a configuration read so much.
func readLarge(config *pgx.ConnConfig) {
	build := config.BuildFrontend
	config.BuildFrontend = func(r io.Reader, w io.Writer) *pgproto3.Frontend {
		return build(bufio.NewReaderSize(r, readSize), w)
	}
}
