package sqlite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/commandtest"
)

// The clients of the child. Each writes its answers into a file of its own, and goes on there when
// the child has been killed and is started again.
const commandClients = 10

// A process that handles commands is killed again and again. What its clients had no answer to they
// repeat when it is back.
func TestTortureCommandsOfProcessesThatAreKilled(t *testing.T) {
	path, each, kills := newPath(t), 50*eventstoretest.Scale, 0
	for {
		process, answered := startChild(t, path, childCommanded, each)
		patience, done := 1+rand.IntN(60), false
		for range patience {
			if done = !answered.Scan(); done {
				break
			}
		}
		if done {
			require.NoError(t, process.Wait())
			break
		}
		require.NoError(t, process.Process.Kill())
		_ = process.Wait() // "signal: killed"
		kills++
	}
	var answers []commandtest.Answered
	for client := range commandClients {
		its, err := readAnswers(path, client)
		require.NoError(t, err)
		require.Len(t, its, each)
		answers = append(answers, its...)
	}
	require.Empty(t, commandtest.Check(logBySQL(t, path), answers))
	require.Empty(t, commandtest.CheckRepeats(t.Context(), openStore(t, path), answers))
	t.Logf("%s; %d kills", commandtest.Count(answers), kills)
	require.Greater(t, kills, 3)
}

func handleCommands(path string) error {
	each, err := strconv.Atoi(os.Getenv(childCommands))
	if err != nil {
		return err
	}
	ctx := context.Background()
	store, err := sqlite.Open(ctx, path, sqlite.Options{})
	if err != nil {
		return err
	}
	dispatch := commandtest.Patiently(commandtest.NewNode(store))
	errs := make([]error, commandClients)
	var all sync.WaitGroup
	for client := range commandClients {
		all.Go(func() { errs[client] = goOn(ctx, dispatch, path, client, each) })
	}
	all.Wait()
	return errors.Join(errors.Join(errs...), store.Close(ctx))
}

// goOn is a client that sends the commands that it has no answer to.
func goOn(ctx context.Context, dispatch commandtest.Dispatch, path string, client, each int) error {
	known, err := readAnswers(path, client)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(answersOf(path, client), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer file.Close()
	for n := len(known); n < each; n++ {
		answered, err := commandtest.Ask(ctx, dispatch, commandtest.Plan(client, n))
		if err != nil {
			return err
		}
		line, err := json.Marshal(answered)
		if err != nil {
			return err
		}
		if _, err := file.Write(append(line, '\n')); err != nil {
			return err
		}
		fmt.Println(client, n)
	}
	return nil
}

func answersOf(path string, client int) string { return fmt.Sprint(path, ".client-", client) }

func readAnswers(path string, client int) (answers []commandtest.Answered, err error) {
	file, err := os.Open(answersOf(path, client))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	for lines := bufio.NewScanner(file); lines.Scan(); {
		var a commandtest.Answered
		if err := json.Unmarshal(lines.Bytes(), &a); err != nil {
			return nil, err
		}
		a.Command = commandtest.Plan(client, len(answers))
		answers = append(answers, a)
	}
	return answers, nil
}

// logBySQL reads the log without the code under test.
func logBySQL(t *testing.T, path string) (log []commandtest.Event) {
	t.Helper()
	rows, err := openDB(t, path, "").QueryContext(t.Context(), "SELECT position, stream_id, version, type, data FROM events ORDER BY position")
	require.NoError(t, err)
	defer rows.Close()
	for rows.Next() {
		var e commandtest.Event
		require.NoError(t, rows.Scan(&e.Position, &e.Stream, &e.Version, &e.Type, &e.Data))
		log = append(log, e)
	}
	require.NoError(t, rows.Err())
	return log
}

func TestOfManyWhoClaimAValueOneGetsIt(t *testing.T) {
	require.NoError(t, commandtest.RaceForClaim(t.Context(), openStore(t, newPath(t)), 64))
}
