package sqlite_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore"
)

// The tests about crashes and about several processes run their own binary again, as a
// child that only appends.

const (
	childPath     = "LEFTFOLD_SQLITE_CHILD_PATH"
	childName     = "LEFTFOLD_SQLITE_CHILD_NAME"
	childCommands = "LEFTFOLD_SQLITE_CHILD_COMMANDS"

	childWorks         = "works on projections"
	childRebuilds      = "rebuilds a projection"
	childAppendsInline = "appends with inline projections"
	childTransacts     = "appends in a transaction of its own"
	childCommanded     = "handles commands"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childPath); path != "" {
		does := child
		switch os.Getenv(childName) {
		case childWorks:
			does = work
		case childRebuilds:
			does = rebuild
		case childAppendsInline:
			does = appendInline
		case childTransacts:
			does = transact
		case childCommanded:
			does = handleCommands
		}
		if err := does(path); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

func child(path string) error {
	commands, err := strconv.Atoi(os.Getenv(childCommands))
	if err != nil {
		return err
	}
	store, err := sqlite.Open(context.Background(), path, sqlite.Options{})
	if err != nil {
		return err
	}
	journal, err := openJournal(path)
	if err != nil {
		return err
	}
	w := workload{name: os.Getenv(childName), commands: commands, journal: journal, acked: os.Stdout}
	if err := w.run(context.Background(), store); err != nil {
		return err
	}
	return store.Close(context.Background())
}

// startChild starts a process that appends so many commands (to each of the workload's
// clients) and writes a line to the returned reader after each.
func startChild(t *testing.T, path, name string, commands int) (*exec.Cmd, *bufio.Scanner) {
	t.Helper()
	process := exec.CommandContext(t.Context(), os.Args[0])
	process.Env = append(os.Environ(), childPath+"="+path, childName+"="+name, childCommands+"="+strconv.Itoa(commands))
	process.Stderr = os.Stderr
	out, err := process.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, process.Start())
	return process, bufio.NewScanner(out)
}

// workload is four clients that append commands, one after the other, to shared streams.
type workload struct {
	name     string
	commands int // of each client
	journal  *journal
	acked    io.Writer
}

const clients = 4

func (w workload) run(ctx context.Context, store eventstore.Store) error {
	failed := make(chan error, clients)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			for n := range w.commands {
				if err := w.append(ctx, store, fmt.Sprintf("%s/%d/%d", w.name, c, n)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	all.Wait()
	close(failed)
	return <-failed
}

func (w workload) append(ctx context.Context, store eventstore.Store, name string) error {
	if err := w.journal.write("try", name, 0); err != nil {
		return err
	}
	receipt, err := store.Append(ctx, request(name))
	if err != nil {
		return fmt.Errorf("append %s: %w", name, err)
	}
	if err := w.journal.write("ack", name, receipt.Token.Position); err != nil {
		return err
	}
	_, err = fmt.Fprintln(w.acked, name)
	return err
}

// request returns the append of a command; everything in it follows from the name,
// which is also the payload.
func request(name string) eventstore.AppendRequest {
	stream := eventstore.NewStreamID("order", string(name[len(name)-1]))
	r := eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID(name)},
		Writes:  []eventstore.Write{{Stream: stream}},
	}
	for n := range eventsOf(name) {
		r.Writes[0].Events = append(r.Writes[0].Events, eventstore.EventData{
			Type: "order.changed", Tags: []eventstore.Tag{eventstore.NewTag("n", strconv.Itoa(n))}, Data: []byte(name),
		})
	}
	return r
}

// eventsOf returns how many events the command has: 1 to 3.
func eventsOf(name string) int { return 1 + len(name)%3 }
