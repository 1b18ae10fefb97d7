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
func (r *Redis) expect(ctx context.Context, command, words string) error {
	answer, err := r.ask(ctx, command)
	if err != nil {
		return err
	}
	if !strings.Contains(answer, words) {
		return fmt.Errorf("%s: %s", command, answer)
	}
	return nil
}

// ask sends a command and returns the answer as the protocol has it.
//
// It asks through the socket, which is in our directory: on the port there might be
// somebody else, and our server about to end because of that.
func (r *Redis) ask(ctx context.Context, command string) (string, error) {
	conn, err := (&net.Dialer{}).DialContext(ctx, "unix", r.path("redis.sock"))
	if err != nil {
		return "", err
	}
	defer func() { _ = conn.Close() }()
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()

	if _, err := fmt.Fprintf(conn, "%s\r\n", command); err != nil {
		return "", err
	}
	// No more from us, so that the answer ends where the connection does. A Sentinel has no QUIT.
	if err := conn.(*net.UnixConn).CloseWrite(); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(conn)
	return string(answer), err
}
