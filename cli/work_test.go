package cli_test

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// freeAddress returns one that nobody listens at.
func freeAddress(t testing.TB) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, listener.Close()) }()
	return listener.Addr().String()
}

// get asks the health port; nothing if nobody answers.
func get(t testing.TB, url string) (status int, body string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	answer, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, ""
	}
	defer func() { _ = answer.Body.Close() }()
	text, err := io.ReadAll(answer.Body)
	require.NoError(t, err)
	return answer.StatusCode, string(text)
}

func TestTheHealthPortIsReadyWhileEverythingIsCaughtUpAndNothingHasFailed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	store := s.store(t)
	address := freeAddress(t)
	stop := s.works(t, "--listen", address, "--ready-within", "1s")
	ready := func(want int) func() bool {
		return func() bool { status, _ := get(t, "http://"+address+"/readyz"); return status == want }
	}
	require.Eventually(t, ready(http.StatusOK), 20*time.Second, 20*time.Millisecond)
	status, body := get(t, "http://"+address+"/healthz")
	assert.Equal(t, http.StatusOK, status)
	assert.JSONEq(t, `{"status":"ok"}`, body)

	happens(t, store, "1", spoiled{}) // which the ledger stops at
	require.Eventually(t, ready(http.StatusServiceUnavailable), 20*time.Second, 20*time.Millisecond)
	_, body = get(t, "http://"+address+"/readyz")
	assert.JSONEq(t, `{"status":"not ready","failed":["ledger"]}`, body)
	status, _ = get(t, "http://"+address+"/healthz")
	assert.Equal(t, http.StatusOK, status, "to start it anew would not help")
	assert.Equal(t, cli.ExitOK, stop().code)
	status, _ = get(t, "http://"+address+"/healthz")
	assert.Zero(t, status)
}

func TestWorkSaysWhatKeepsItFromStarting(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	taken, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { require.NoError(t, taken.Close()) }()
	r := s.run(t, "work", "--listen", taken.Addr().String())
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "listen for --listen "+taken.Addr().String())
	r = s.run(t, "work", "--grace", "0s")
	assert.Equal(t, cli.ExitUsage, r.code)
	assert.Contains(t, r.stderr, "--ready-within and --grace must be longer than 0")

	idle := cli.App{Name: "idle", Open: func(context.Context) (cli.Parts, error) { return cli.Parts{}, nil }}
	r = runs(t.Context(), cli.Command(idle), "work")
	assert.Equal(t, ran{cli.ExitFailed, "", "idle: idle has nothing to run: its Parts have no projections, sagas or relays\n"}, r)
	assert.Panics(t, func() { cli.Command(cli.App{Name: "nothing"}) })
}

// A definition that has changed ends the worker of the projections, and with it the process: a deploy has to
// mend it. The others are stopped, and give back what they hold.
func TestWorkEndsWithWhatADeployHasToMend(t *testing.T) {
	t.Parallel()
	s := built(t)
	s.other = true
	r := s.run(t, "work")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "definition changed without a new version")
}

// A handler that does not return when its context ends is cut off: the process has to end all the same.
func TestWorkEndsThoughAHandlerDoesNotReturn(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.store(t)
	came, letGo, returned := make(chan struct{}), make(chan struct{}), make(chan struct{})
	var comes, returns sync.Once
	hangs := projection.NewHandler("hangs", projection.HandlerOptions{Version: 1}, func(context.Context, *sql.Tx, eventstore.Recorded) error {
		defer returns.Do(func() { close(returned) })
		comes.Do(func() { close(came) })
		<-letGo
		return nil
	})
	closes := func(context.Context) error { return nil }
	app := cli.App{Name: "shop", Open: func(ctx context.Context) (cli.Parts, error) {
		parts, err := s.open(ctx)
		w := &parts.Projections[0]
		w.Tasks = append(w.Tasks, projection.On(w.Tasks[0].Sink().(projection.TxSink[*sql.Tx]), hangs))
		closes, parts.Close = parts.Close, func(context.Context) error { return errors.New("it closes what is in use") }
		return parts, err
	}}
	happens(t, s.store(t), "1", placed{1})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := make(chan ran, 1)
	go func() { ended <- runs(ctx, cli.Command(app), "work", "--grace", "100ms") }()
	<-came
	stop()
	r := <-ended
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Equal(t, "shop: it was cut off: a handler does not return though its context ended 100ms ago; its work goes on elsewhere when its leases have ended\n", r.stderr)
	close(letGo)
	<-returned
	require.NoError(t, closes(t.Context()))
}

func TestEveryVerbHasAnExampleAndSaysWhatItDoes(t *testing.T) {
	t.Parallel()
	var look func(cmd *cobra.Command)
	verbs := 0
	look = func(cmd *cobra.Command) {
		for _, verb := range cmd.Commands() {
			look(verb)
		}
		if cmd.HasSubCommands() {
			return
		}
		verbs++
		assert.NotEmpty(t, cmd.Short, cmd.CommandPath())
		assert.NotEmpty(t, cmd.Long, cmd.CommandPath())
		assert.Contains(t, cmd.Example, cmd.CommandPath())
	}
	look(cli.Command(newShop(t).app()))
	assert.Equal(t, 18, verbs)
}
