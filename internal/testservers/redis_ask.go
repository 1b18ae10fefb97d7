package testservers

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
)

// expect sends a command and fails unless the answer contains the words. Readiness needs
// no more of Redis's protocol than this, and no client library.
//
// It asks through the socket, which is in our directory: on the port there might be
// somebody else, and our server about to end because of that.
func (r *Redis) expect(ctx context.Context, command, words string) error {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.path("redis.sock"))
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	// QUIT, so that the answer ends where the connection does.
	if _, err := fmt.Fprintf(conn, "%s\r\nQUIT\r\n", command); err != nil {
		return err
	}
	answer, err := io.ReadAll(conn)
	if err != nil {
		return err
	}
	if !strings.Contains(string(answer), words) {
		return fmt.Errorf("%s: %s", command, answer)
	}
	return nil
}
