package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/internal/pgproxy"
	"github.com/leftfold/leftfold/projection"
)

// tally counts what happened to one customer, so that repeats and losses show.
type tally struct {
	ID     string `leftfold:"key"`
	Events int64
	Pence  int64
}

func tallies(version int) *projection.View[tally] { return talliesNamed("tallies", version) }

func talliesNamed(name string, version int) *projection.View[tally] {
	return projection.NewView(name, projection.ViewOptions{Version: version},
		projection.WhenKeyed(func(e itemSold, _ eventstore.Recorded) string { return e.Customer },
			func(row *tally, e itemSold, _ eventstore.Recorded) { row.Events++; row.Pence += e.Pence }))
}

// sell appends sales, and returns the rows that they make. Most customers are in every window
// and some in one only: a rewound checkpoint repeats those.
func sell(t testing.TB, store eventstore.Store, sales int) map[string]tally {
	t.Helper()
	want := map[string]tally{}
	for n := range sales {
		sale := itemSold{Customer: string(rune('a' + n%5)), Pence: int64(n)}
		if n%7 == 6 {
			sale.Customer = fmt.Sprintf("rare-%d", n)
		}
		data, err := soldEvents.Encode(sale)
		require.NoError(t, err)
		_, err = store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: "sale-1", Events: []eventstore.EventData{data}}}})
		require.NoError(t, err)
		row := want[sale.Customer]
		want[sale.Customer] = tally{ID: sale.Customer, Events: row.Events + 1, Pence: row.Pence + sale.Pence}
	}
	return want
}

// disagreement says how the table of a view differs from the rows that should be there; "":
// it does not.
func disagreement(t testing.TB, pool *pgxpool.Pool, view *projection.View[tally], want map[string]tally) string {
	t.Helper()
	rows, err := pool.Query(t.Context(), fmt.Sprintf("SELECT key, events, pence FROM leftfold.view_%s_%d", view.Name(), view.Generation().Version))
	require.NoError(t, err)
	read, err := pgx.CollectRows(rows, pgx.RowToStructByPos[tally])
	require.NoError(t, err)
	got := map[string]tally{}
	for _, row := range read {
		got[row.ID] = row
	}
	if maps.Equal(got, want) {
		return ""
	}
	return fmt.Sprintf("got %v, want %v", got, want)
}

// cutting is a sink whose connection is cut at the nth frame of its commits.
type cutting struct {
	projection.Sink

	committing atomic.Bool
	left       int
	action     pgproxy.Action
	cut        atomic.Bool
}

func (c *cutting) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	c.committing.Store(true)
	defer c.committing.Store(false)
	return c.Sink.Commit(ctx, model, move, changes)
}

func (c *cutting) hook(pgproxy.Frame) pgproxy.Action {
	if c.committing.Load() {
		if c.left--; c.left == 0 {
			c.cut.Store(true)
			return c.action
		}
	}
	return pgproxy.Forward
}

// throughProxyTo returns a pool on the same database whose connections meet the hook.
func throughProxyTo(t testing.TB, pool *pgxpool.Pool, hook pgproxy.Hook) *pgxpool.Pool {
	t.Helper()
	target := pool.Config().ConnConfig
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", target.Host, target.Port), hook)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	return poolOn(t, fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", target.User, proxy.Addr(), target.Database))
}

// cutCommit projects the sales while the connection is cut at the nth frame of a commit, and
// says what is wrong with the rows, and whether there were so many frames.
func cutCommit(t *testing.T, pool *pgxpool.Pool, store *postgres.Store, want map[string]tally, nth int, action pgproxy.Action, as func(*postgres.Sink) projection.Sink) (finding string, cut bool) {
	t.Helper()
	faulty := &cutting{left: nth, action: action}
	view := talliesNamed(fmt.Sprintf("tallies_%d", names.Add(1)), 1)
	faulty.Sink = as(openSinkOn(t, throughProxyTo(t, pool, faulty.hook)))
	runner := projection.Runner{Log: store, Events: soldEvents, Window: 17, Tasks: []projection.Task{projection.Into(faulty, view)}}
	require.NoError(t, runner.CatchUp(t.Context()))
	return disagreement(t, pool, view, want), faulty.cut.Load()
}

var names atomic.Int64

// The server's process ends, or loses its client, before or behind any message of a commit: of
// the first one, which prepares the statement, and of the next.
func TestTortureACommitThatIsCutAnywhereTakesEffectOnce(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	want := sell(t, store, 40)
	var cuts atomic.Int64
	t.Run("cut", func(t *testing.T) {
		for name, action := range map[string]pgproxy.Action{"before": pgproxy.Cut, "behind": pgproxy.DeliverThenCut} {
			for nth := 1; nth <= 27; nth++ {
				t.Run(fmt.Sprintf("%s message %d", name, nth), func(t *testing.T) {
					t.Parallel()
					finding, cut := cutCommit(t, pool, store, want, nth, action, func(s *postgres.Sink) projection.Sink { return s })
					require.Empty(t, finding)
					if cut {
						cuts.Add(1)
					}
				})
			}
		}
	})
	require.Greater(t, cuts.Load(), int64(40), "a cut that does not happen proves nothing")
}

// apart writes the rows in a second transaction: a mutant.
type apart struct{ projection.Sink }

func (s apart) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := s.Sink.Commit(ctx, model, move, nil); err != nil {
		return err
	}
	return s.Sink.Commit(ctx, model, projection.Move{From: move.To, To: move.To}, changes)
}

func TestMutantRowsInASecondTransactionAreCaught(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	want := sell(t, store, 40)
	for nth := 1; ; nth++ {
		finding, cut := cutCommit(t, pool, store, want, nth, pgproxy.Cut, func(s *postgres.Sink) projection.Sink { return apart{s} })
		if finding != "" {
			return
		}
		require.True(t, cut, "the mutant survived")
	}
}

const racedSales = 200

// raced lets three processes project the same sales while they are made, and says what is wrong
// with the rows, and how often a process came too late.
func raced(t *testing.T, does string) (finding string, late int) {
	t.Helper()
	pool := newPool(t)
	store := openOn(t, pool, postgres.Options{})
	const processes = 3
	var mu sync.Mutex
	var ready, all sync.WaitGroup
	errs := make([]error, processes)
	ready.Add(processes)
	for n := range processes {
		all.Go(func() {
			opened := sync.OnceFunc(ready.Done)
			defer opened()
			errs[n] = runChild(t.Context(), does, pool.Config().ConnString(), fmt.Sprint(n), func(line string) {
				opened()
				var times int
				if _, err := fmt.Sscanf(line, "late %d", &times); err == nil {
					mu.Lock()
					defer mu.Unlock()
					late += times
				}
			})
		})
	}
	ready.Wait()
	want := sell(t, store, racedSales)
	all.Wait()
	require.NoError(t, errors.Join(errs...))
	return disagreement(t, pool, tallies(1), want), late
}

func TestProcessesThatRaceOnOneCheckpointNeitherLoseNorRepeatAnEvent(t *testing.T) {
	t.Parallel()
	finding, late := raced(t, "projects")
	require.Empty(t, finding)
	t.Logf("%d commits came too late", late)
	require.Greater(t, late, 10)
}

func TestMutantABlindCheckpointIsCaughtByRacingProcesses(t *testing.T) {
	t.Parallel()
	finding, _ := raced(t, "projects blindly")
	require.NotEmpty(t, finding)
}

func projectSales(ctx context.Context, url, _ string) error {
	return projectRaced(ctx, url, func(s *postgres.Sink) *postgres.Sink { return s })
}

func projectSalesBlindly(ctx context.Context, url, _ string) error {
	return projectRaced(ctx, url, (*postgres.Sink).Blind)
}

// projectRaced is a child that projects until all the sales are applied.
func projectRaced(ctx context.Context, url string, as func(*postgres.Sink) *postgres.Sink) error {
	pool, err := pgxpool.New(ctx, url)
	if err != nil {
		return err
	}
	defer pool.Close()
	store, err := postgres.Open(ctx, pool, postgres.Options{})
	if err != nil {
		return err
	}
	defer store.Close(ctx)
	sink := &latecomer{Sink: as(store.Sink())}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	opened := sync.OnceFunc(func() { fmt.Println("opened") })
	err = projection.Runner{
		Log: store, Events: soldEvents, Window: 3, Tasks: []projection.Task{projection.Into(sink, tallies(1))},
		OnProgress: func(p projection.Progress) {
			opened()
			if p.Position >= racedSales {
				stop()
			}
		},
	}.Run(ctx)
	fmt.Println("late", sink.times.Load())
	return err
}

// latecomer counts the commits that came too late.
type latecomer struct {
	projection.Sink
	times atomic.Int64
}

func (l *latecomer) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	err := l.Sink.Commit(ctx, model, move, changes)
	if errors.Is(err, subscription.ErrStale) {
		l.times.Add(1)
	}
	return err
}

// rivals are two sinks on one database, the first of them behind a proxy, and a window that
// both have folded.
type rivals struct {
	pool        *pgxpool.Pool
	slow, quick *postgres.Sink
	model       projection.Model
	move        projection.Move
}

func newRivals(t *testing.T, hook pgproxy.Hook) rivals {
	t.Helper()
	r := rivals{pool: newPool(t), model: projection.Model{
		Generation: projection.Generation{Name: "raced", Version: 1}, Hash: "raced", Columns: []projection.Column{{Name: "by", Kind: projection.Text}},
	}}
	r.slow, r.quick = openSinkOn(t, throughProxyTo(t, r.pool, hook)), openSinkOn(t, r.pool)
	source := eventstore.Identity{Store: eventstore.NewStoreID(), Incarnation: 1}
	require.NoError(t, r.slow.Open(t.Context(), r.model, source))
	var err error
	r.move.From, err = r.slow.Checkpoint(t.Context(), r.model.Generation, source.Store)
	require.NoError(t, err)
	r.move.To = r.move.From
	r.move.To.Anchor = eventstore.Anchor{Position: 5, EventID: eventstore.NewEventID()}
	return r
}

// commit writes one row of the name.
func (r rivals) commit(ctx context.Context, sink *postgres.Sink, name string) error {
	return sink.Commit(ctx, r.model, r.move, []projection.Change{{Row: projection.Row{Key: name, Values: []any{name}}}})
}

func (r rivals) written(t *testing.T) string {
	t.Helper()
	rows, err := r.quick.List(t.Context(), r.model, projection.ListQuery{Limit: 10})
	require.NoError(t, err)
	var keys []string
	for _, row := range rows {
		keys = append(keys, row.Key)
	}
	return strings.Join(keys, ", ")
}

// awaitLock waits until a statement waits for a lock.
func (r rivals) awaitLock(t *testing.T) {
	t.Helper()
	require.Eventually(t, func() bool {
		var waits bool
		err := r.pool.QueryRow(t.Context(), "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock')").Scan(&waits)
		return err == nil && waits
	}, postgres.TestPatience, postgres.TestStep)
}

// held pauses a commit at its Bind or its Sync, once it is armed.
type held struct {
	kind  byte
	armed atomic.Bool
	at    chan struct{} // closed when the frame is there
	loose chan struct{} // closed by the test

	bound, paused bool
}

func newHeld(kind byte) *held {
	return &held{kind: kind, at: make(chan struct{}), loose: make(chan struct{})}
}

func (h *held) hook(f pgproxy.Frame) pgproxy.Action {
	if !h.armed.Load() || h.paused || !f.FromClient {
		return pgproxy.Forward
	}
	h.bound = h.bound || f.Type == pgproxy.Bind // the Sync before it ends the preparation
	if h.bound && f.Type == h.kind {
		h.paused = true
		close(h.at)
		return pgproxy.Pause(h.loose)
	}
	return pgproxy.Forward
}

// zombie holds up a commit on its way, lets a rival apply the same window, and says what was
// written in the end.
func zombie(t *testing.T, as func(*postgres.Sink) *postgres.Sink) (written string, late error) {
	t.Helper()
	h := newHeld(pgproxy.Bind)
	r := newRivals(t, h.hook)
	as(r.slow)
	h.armed.Store(true)
	answer := make(chan error, 1)
	go func() { answer <- r.commit(t.Context(), r.slow, "zombie") }()
	<-h.at
	require.NoError(t, r.commit(t.Context(), r.quick, "rival"))
	close(h.loose)
	late = <-answer
	return r.written(t), late
}

func TestACommitThatArrivesLateIsRefused(t *testing.T) {
	written, late := zombie(t, func(s *postgres.Sink) *postgres.Sink { return s })
	require.ErrorIs(t, late, subscription.ErrStale)
	require.Equal(t, "rival", written)
}

func TestMutantABlindCheckpointIsCaughtByACommitThatArrivesLate(t *testing.T) {
	written, _ := zombie(t, (*postgres.Sink).Blind)
	require.Equal(t, "rival, zombie", written)
}

// The server has carried out all of a commit and lacks its end: whoever takes over waits.
func TestWhoTakesOverWaitsForACommitThatHangsAndComesTooLate(t *testing.T) {
	h := newHeld(pgproxy.Sync)
	r := newRivals(t, h.hook)
	h.armed.Store(true)
	slow, quick := make(chan error, 1), make(chan error, 1)
	go func() { slow <- r.commit(t.Context(), r.slow, "zombie") }()
	<-h.at
	require.Eventually(t, func() bool {
		var free int
		err := r.pool.QueryRow(t.Context(), "SELECT count(*) FROM (SELECT FROM leftfold.segments FOR UPDATE SKIP LOCKED) c").Scan(&free)
		return err == nil && free == 0
	}, postgres.TestPatience, postgres.TestStep, "it has made the move")
	go func() { quick <- r.commit(t.Context(), r.quick, "rival") }()
	r.awaitLock(t)
	close(h.loose)
	require.NoError(t, <-slow)
	require.ErrorIs(t, <-quick, subscription.ErrStale)
	require.Equal(t, "zombie", r.written(t))
}

// A handler has made its move and hangs: a rival waits for it. If it commits, the rival comes
// too late; if its process dies, the rival goes on.
func TestAHandlerThatHangsIsWaitedFor(t *testing.T) {
	for name, dies := range map[string]bool{"and commits": false, "and dies": true} {
		t.Run(name, func(t *testing.T) {
			r := newRivals(t, nil)
			pids, goOn := make(chan uint32, 1), make(chan struct{})
			slow, quick := make(chan error, 1), make(chan error, 1)
			go func() {
				slow <- r.slow.Transact(t.Context(), r.model.Generation, r.move, func(ctx context.Context, tx pgx.Tx) error {
					pids <- tx.Conn().PgConn().PID()
					<-goOn
					_, err := tx.Exec(ctx, "INSERT INTO leftfold.view_raced_1 VALUES ('zombie', 'zombie')")
					return err
				})
			}()
			pid := <-pids
			go func() { quick <- r.commit(t.Context(), r.quick, "rival") }()
			r.awaitLock(t)
			if dies {
				_, err := r.pool.Exec(t.Context(), "SELECT pg_terminate_backend($1, 60000)", pid)
				require.NoError(t, err)
				require.NoError(t, <-quick)
				close(goOn)
				require.Error(t, <-slow)
				require.Equal(t, "rival", r.written(t))
				return
			}
			close(goOn)
			require.NoError(t, <-slow)
			require.ErrorIs(t, <-quick, subscription.ErrStale)
			require.Equal(t, "zombie", r.written(t))
		})
	}
}
