package cli_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
	"github.com/leftfold/leftfold/relay"
)

// A program whose rules have changed under the same version, which every worker refuses to run.
func TestInPlaceWithAChangedDefinitionEmptiesNothingAndEnds(t *testing.T) {
	t.Parallel()
	s := built(t)
	s.other = true
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	r := runs(ctx, cli.Command(s.app()), "projections", "rebuild", "orders", "--in-place", "--yes")
	require.NoError(t, ctx.Err(), "it has not ended by itself")
	assert.Contains(t, r.stderr, "definition changed without a new version")
	s.other = false
	assert.Len(t, s.rows(t), 50, "rows that are left for the readers of the live program")
}

func TestInPlaceOfAPausedViewEmptiesNothing(t *testing.T) {
	t.Parallel()
	s := built(t)
	require.Equal(t, cli.ExitOK, s.run(t, "projections", "pause", "orders").code)
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	r := runs(ctx, cli.Command(s.app()), "projections", "rebuild", "orders", "--in-place", "--yes")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Len(t, s.rows(t), 50, "rows")
}

func TestWorkTellsWhatHasFailedThoughAnotherPartHangs(t *testing.T) {
	t.Parallel()
	s := built(t)
	came, letGo := make(chan struct{}), make(chan struct{})
	s.other = true // the definition has changed, which ends the worker
	app := cli.App{Name: "shop", Open: func(ctx context.Context) (cli.Parts, error) {
		parts, err := s.open(ctx)
		w := parts.Projections[0]
		w.Tasks = w.Tasks[:1]
		w.Log = waits{w.Log, came}
		parts.Projections, parts.Sagas = []projection.Worker{w}, nil
		parts.Relays[0].Publisher = &hanging{Publisher: parts.Relays[0].Publisher, came: came, letGo: letGo}
		return parts, err
	}}
	r := runs(t.Context(), cli.Command(app), "work", "--grace", "100ms")
	close(letGo)
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "definition changed without a new version")
}

type hanging struct {
	relay.Publisher
	once        sync.Once
	came, letGo chan struct{}
}

func (h *hanging) Publish(ctx context.Context, m []relay.Message) ([]error, error) {
	h.once.Do(func() { close(h.came) })
	<-h.letGo
	return make([]error, len(m)), nil
}

// waits is a log that is read when something has come.
type waits struct {
	eventstore.LogReader
	came chan struct{}
}

func (w waits) Head(ctx context.Context) (eventstore.Token, error) {
	<-w.came
	return w.LogReader.Head(ctx)
}

// SIGTERM while the program opens its store.
func TestWorkThatIsStoppedWhileItOpensEndsWithCode0(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	app := cli.App{Name: "shop", Open: func(ctx context.Context) (cli.Parts, error) {
		stop()
		<-ctx.Done()
		return cli.Parts{}, errors.Join(errors.New("connect"), ctx.Err())
	}}
	r := runs(ctx, cli.Command(app), "work")
	assert.Equal(t, cli.ExitOK, r.code)
}

// A store that hangs when it is closed.
func TestWorkEndsWithinItsGraceThoughTheStoreHangsWhenItIsClosed(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	s.store(t)
	ctx, stop := context.WithCancel(t.Context())
	letGo, closed := make(chan struct{}), make(chan error, 1)
	app := cli.App{Name: "shop", Open: func(ctx context.Context) (cli.Parts, error) {
		parts, err := s.open(ctx)
		closes := parts.Close
		parts.Close = func(ctx context.Context) error {
			<-letGo
			closed <- closes(context.WithoutCancel(ctx))
			return nil
		}
		stop()
		return parts, err
	}}
	r := runs(ctx, cli.Command(app), "work", "--grace", "100ms")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "took longer than 100ms to close")
	close(letGo)
	require.NoError(t, <-closed)
}
