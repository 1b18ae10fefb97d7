package cli_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/sqlite"
	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// A program's own views, and one that its appends apply; what another program keeps in the same file is not its business.
func TestProjectionsListShowsWhatAppendsApply(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "shop.db")
	inline := projection.NewView("inline", projection.ViewOptions{Version: 1}, projection.When(func(s *summary, e placed, _ eventstore.Recorded) { s.Cents += e.Cents }))
	open := func(ctx context.Context) (*sqlite.Store, error) {
		return sqlite.Open(ctx, file, sqlite.Options{Inline: projection.Inline[*sql.Tx]{Events: orders.Events(), Views: []projection.InlineView{inline}}})
	}
	store, err := open(t.Context())
	require.NoError(t, err)
	require.NoError(t, store.SwitchInline(t.Context()))
	happens(t, store, "1", placed{1})
	head, err := store.Head(t.Context())
	require.NoError(t, err)
	foreign := projection.Model{Generation: projection.Generation{Name: "foreign", Version: 1}, Hash: "1"}
	require.NoError(t, store.Sink().Open(t.Context(), foreign, head.Identity))
	require.NoError(t, store.Close(context.WithoutCancel(t.Context())))

	app := cli.App{Name: "shop", Open: func(ctx context.Context) (cli.Parts, error) {
		store, err := open(ctx)
		if err != nil {
			return cli.Parts{}, err
		}
		return cli.Parts{Close: store.Close, Projections: []projection.Worker{{Log: store, Events: orders.Events(),
			Tasks: []projection.Task{projection.Into(store.Sink(), summaries(1, true))}}}}, nil
	}}
	r := runs(t.Context(), cli.Command(app), "projections", "list", "-o", "json")
	require.Equal(t, cli.ExitOK, r.code, r.stderr)
	var got struct {
		Projections []struct {
			Name, Kind, State string
			Lag               int
		}
	}
	require.NoError(t, json.Unmarshal([]byte(r.stdout), &got))
	require.Len(t, got.Projections, 2, r.stdout)
	assert.Equal(t, "orders", got.Projections[0].Name)
	assert.Equal(t, "inline inline inline", got.Projections[1].Name+" "+got.Projections[1].Kind+" "+got.Projections[1].State)
	assert.Zero(t, got.Projections[1].Lag)
	r = runs(t.Context(), cli.Command(app), "projections", "rebuild", "inline")
	assert.Equal(t, cli.ExitFailed, r.code)
	assert.Contains(t, r.stderr, "appends apply inline: have its program call SwitchInline")
}
