package testservers

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
)

// freePort picks a port below those that the kernel gives to outgoing connections (32768
// and up): a server that restarts wants its port back, and must not find that a client of
// somebody else's sits on it.
func freePort() (int, error) {
	const (
		lowest, highest = 10000, 32767
		attempts        = 100
	)
	var err error
	for range attempts {
		port := lowest + rand.IntN(highest-lowest+1)
		var listener net.Listener
		listener, err = (&net.ListenConfig{}).Listen(context.Background(), "tcp4", fmt.Sprintf("127.0.0.1:%d", port))
		if err == nil {
			return port, listener.Close()
		}
	}
	return 0, fmt.Errorf("find a free port: %w", err)
}

// onFreePort calls start with ports until one is free. Others look for ports too: between
// our look and the server's bind, somebody may have taken it.
func onFreePort(start func(port int) error) error {
	const attempts = 20
	var failed error
	for range attempts {
		port, err := freePort()
		if err != nil {
			return err
		}
		failed = start(port)
		if failed == nil || !portIsTaken(failed) {
			return failed
		}
	}
	return failed
}

// portIsTaken reads the server's log, which is part of the error: it has no other way to
// say it.
func portIsTaken(err error) bool {
	return strings.Contains(strings.ToLower(err.Error()), "address already in use")
}
