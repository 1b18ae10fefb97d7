// Package emulators starts emulators of AWS for tests: Kinesis (kinesis-local), DynamoDB
// (dynalite) and SQS (fauxqs), from what package npm says is installed.
//
// Each runs once per test process, on a free port of 127.0.0.1, from the first call on; those
// who share it make streams, tables and queues of their own. It ends with the process,
// however that ends.
//
// What they lack, seen with these versions:
//
//   - kinesis-local has no limits at all, and more that the tests of package kinesisfake list.
//     It begins SubscribeToShard without the frame that the SDK wants: see [FanOut].
//   - dynalite has no TransactWriteItems.
//   - fauxqs has what a consumer needs: visibility, receipts, redrive to dead letters, FIFO queues. Its
//     clock is the machine's, so a test waits for a second of visibility.
package emulators

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"github.com/leftfold/leftfold/internal/awstest/npm"
	"github.com/leftfold/leftfold/internal/testservers"
)

// Emulator is a running emulator.
type Emulator struct{ program *testservers.Program }

// URL is its endpoint.
func (e *Emulator) URL() string { return "http://" + e.program.Addr() }

// Log returns the last lines that it wrote.
func (e *Emulator) Log() string { return e.program.Log() }

// Kinesis returns the process's emulator of Kinesis.
func Kinesis() (*Emulator, error) { return kinesisLocal() }

// DynamoDB returns the process's emulator of DynamoDB.
func DynamoDB() (*Emulator, error) { return dynalite() }

// SQS returns the process's emulator of SQS.
func SQS() (*Emulator, error) { return fauxqs() }

// limit is how long an emulator may take to come up, on a machine that does other things too.
const limit = time.Minute

var kinesisLocal = sync.OnceValues(func() (*Emulator, error) {
	return start("Kinesis", "kinesis-local/main.js", nil, func(folder string, port int) []string {
		const short = "50ms"
		return []string{
			"KINESIS_MOCK_PLAIN_PORT=" + strconv.Itoa(port),
			"KINESIS_MOCK_TLS_PORT=0", // any, which nobody uses
			"KINESIS_MOCK_CERT_PATH=" + filepath.Join(folder, "node_modules", "kinesis-local", "server.json"),
			"SHARD_LIMIT=10000",
			"CREATE_STREAM_DURATION=" + short,
			"DELETE_STREAM_DURATION=" + short,
			"SPLIT_SHARD_DURATION=" + short,
			"MERGE_SHARDS_DURATION=" + short,
			"UPDATE_SHARD_COUNT_DURATION=" + short,
			"REGISTER_STREAM_CONSUMER_DURATION=" + short,
			"LOG_LEVEL=ERROR",
		}
	})
})

var dynalite = sync.OnceValues(func() (*Emulator, error) {
	return start("DynamoDB", "dynalite/cli.js", func(port int) []string {
		return []string{"--host", "127.0.0.1", "--port", strconv.Itoa(port), "--createTableMs", "20", "--deleteTableMs", "20"}
	}, nil)
})

var fauxqs = sync.OnceValues(func() (*Emulator, error) {
	return start("SQS", "fauxqs/dist/cli.js", nil, func(_ string, port int) []string {
		return []string{"FAUXQS_HOST=127.0.0.1", "FAUXQS_PORT=" + strconv.Itoa(port)}
	})
})

// start runs a script of node_modules. It takes no context: the first caller starts it for all.
func start(name, script string, args func(port int) []string, env func(folder string, port int) []string) (*Emulator, error) {
	folder, err := npm.Folder()
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeoutCause(context.Background(), limit, fmt.Errorf("not up after %v", limit))
	defer cancel()
	node, err := npm.Node(ctx)
	if err != nil {
		return nil, err
	}
	path := filepath.Join(folder, "node_modules", script)
	if _, err := os.Stat(path); err != nil {
		return nil, fmt.Errorf("%w: %w", npm.ErrUnavailable, err)
	}
	program, err := testservers.StartProgram(ctx, testservers.ProgramOptions{
		Name:    name,
		Program: node,
		Args: func(port int) []string {
			all := []string{"--require", filepath.Join(folder, "loopback.cjs"), path}
			if args != nil {
				all = append(all, args(port)...)
			}
			return all
		},
		Env: func(port int) []string {
			if env == nil {
				return nil
			}
			return env(folder, port)
		},
	})
	if err != nil {
		return nil, err
	}
	return &Emulator{program}, nil
}
