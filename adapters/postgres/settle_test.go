package postgres_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
	"github.com/leftfold/leftfold/internal/pgproxy"
)

// fate is what becomes of an append's round trip: asked at the client's Sync, with which the
// transaction would commit, and at the server's ReadyForQuery, which says that it has.
type fate struct{ atSync, atReady pgproxy.Action }

var fates = []struct {
	name string
	fate fate
}{
	{"never committed, and the client saw no answer", fate{pgproxy.Cut, pgproxy.Forward}},
	{"never committed, although the client saw its row", fate{pgproxy.FlushThenCut, pgproxy.Forward}},
	{"committed, and the client saw only its row", fate{pgproxy.Forward, pgproxy.Cut}},
	{"committed, and the client saw nothing", fate{pgproxy.DeliverThenCut, pgproxy.Forward}},
}

// unlucky is a hook that gives a part of the appends a fate other than success.
type unlucky struct {
	choose func(lone bool) (fate, bool)

	appending map[int]bool             // connections whose next Sync ends an append
	lonely    map[int]bool             // and whether it is one by leftfold.append_one
	awaiting  map[int][]pgproxy.Action // what becomes of the ReadyForQuery to each Sync of a connection
	cuts      int
	lone      int // cuts of appends by leftfold.append_one
	overlaps  int // cuts of two appends at once
}

func newUnlucky(choose func(lone bool) (fate, bool)) *unlucky {
	return &unlucky{choose: choose, appending: map[int]bool{}, lonely: map[int]bool{}, awaiting: map[int][]pgproxy.Action{}}
}

func (u *unlucky) hook(f pgproxy.Frame) pgproxy.Action {
	switch {
	case f.FromClient && f.Type == pgproxy.Bind:
		u.appending[f.Conn] = isAppend(f)
		u.lonely[f.Conn] = isLone(f)
	case f.FromClient && f.Type == pgproxy.Sync:
		next := fate{pgproxy.Forward, pgproxy.Forward}
		if u.appending[f.Conn] {
			delete(u.appending, f.Conn)
			if chosen, ok := u.choose(u.lonely[f.Conn]); ok {
				next = chosen
				u.cuts++
				if u.lonely[f.Conn] {
					u.lone++
				}
				if len(u.awaiting[f.Conn]) > 0 {
					u.overlaps++
				}
			}
		}
		u.awaiting[f.Conn] = append(u.awaiting[f.Conn], next.atReady)
		return next.atSync
	case !f.FromClient && f.Type == pgproxy.ReadyForQuery && len(u.awaiting[f.Conn]) > 0:
		next := u.awaiting[f.Conn][0]
		u.awaiting[f.Conn] = u.awaiting[f.Conn][1:]
		return next
	}
	return pgproxy.Forward
}

// throughProxy opens a store on the pool's database whose connections meet the hook.
func throughProxy(t testing.TB, pool *pgxpool.Pool, hook pgproxy.Hook) *postgres.Store {
	t.Helper()
	return throughProxyWith(t, pool, hook, postgres.Options{})
}

func throughProxyWith(t testing.TB, pool *pgxpool.Pool, hook pgproxy.Hook, o postgres.Options) *postgres.Store {
	t.Helper()
	target := pool.Config().ConnConfig
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", target.Host, target.Port), hook)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	url := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", target.User, proxy.Addr(), target.Database)
	return openOn(t, poolOn(t, url), o)
}

func TestALostAnswerIsSettled(t *testing.T) {
	t.Parallel()
	for _, c := range fates {
		t.Run(c.name, func(t *testing.T) {
			left := 3
			u := newUnlucky(func(bool) (fate, bool) { left--; return c.fate, left >= 0 })
			store := throughProxy(t, newPool(t), u.hook)
			require.Empty(t, appendUnderCuts(t, []eventstore.Store{store}, toBoth, 4, 5))
			require.Equal(t, 3, u.cuts)
		})
	}
}

func TestALostAnswerToALoneEventIsSettled(t *testing.T) {
	t.Parallel()
	for _, c := range fates {
		t.Run(c.name, func(t *testing.T) {
			findings, cuts := loseLone(t, newPool(t), c.fate)
			require.Empty(t, findings)
			require.Equal(t, 3, cuts)
		})
	}
}

// A settling that does not find what was appended must be caught by the check.
func TestMutantThatDoesNotFindALoneEventIsCaught(t *testing.T) {
	pool := newPool(t)
	mutate(t, pool, "settle", "e.position > settle.after", "false")
	findings, _ := loseLone(t, pool, fate{pgproxy.Forward, pgproxy.Cut})
	require.NotEmpty(t, findings)
}

// loseLone loses every second answer of leftfold.append_one, three times.
func loseLone(t *testing.T, pool *pgxpool.Pool, f fate) (findings []string, cuts int) {
	t.Helper()
	sent := 0
	u := newUnlucky(func(lone bool) (fate, bool) {
		if lone {
			sent++
		}
		return f, lone && sent%2 == 0 && sent <= 6
	})
	store := throughProxy(t, pool, u.hook)
	return appendUnderCuts(t, []eventstore.Store{store}, alone, 1, 12), u.lone
}

// A quarter of the round trips fails, and no append has a command id.
func TestTortureLostAnswersWithoutCommandIDs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		overlap int
	}{{"one batch at a time", 0}, {"two batches under way", 1}} {
		t.Run(c.name, func(t *testing.T) {
			u := newUnlucky(aQuarter)
			store := throughProxy(t, newPool(t), u.hook)
			store.SetOverlap(c.overlap)
			const clients = 10
			require.Empty(t, appendUnderCuts(t, []eventstore.Store{store}, toBoth, clients, 50*eventstoretest.Scale))
			t.Logf("%d appends, %d cuts, %d of them with another batch under way", clients*50*eventstoretest.Scale, u.cuts, u.overlaps)
			require.Greater(t, u.cuts, 10)
			require.Equal(t, c.overlap > 0, u.overlaps > 5)
		})
	}
}

func aQuarter(bool) (fate, bool) { return fates[rand.IntN(len(fates))].fate, rand.IntN(4) == 0 }

// The writers are alone in their processes, so each of their events goes by itself, until one
// that has lost its answer fences its sessions: then the next of each goes as a batch.
func TestTortureLostAnswersOfLoneWriters(t *testing.T) {
	t.Parallel()
	pool := newPool(t)
	const writers = 3
	stores, hooks := make([]eventstore.Store, writers), make([]*unlucky, writers)
	for n := range stores {
		hooks[n] = newUnlucky(aQuarter)
		stores[n] = throughProxy(t, pool, hooks[n].hook)
	}
	require.Empty(t, appendUnderCuts(t, stores, alone, writers, 50*eventstoretest.Scale))
	cuts, lone := 0, 0
	for _, u := range hooks {
		cuts, lone = cuts+u.cuts, lone+u.lone
	}
	t.Logf("%d appends, %d cuts, %d of them of lone events", writers*50*eventstoretest.Scale, cuts, lone)
	require.Greater(t, lone, 10)
}

// A client that takes a lost answer for a failure and sends again must be caught by the check.
func TestMutantBlindRetryIsCaught(t *testing.T) {
	t.Parallel()
	for _, request := range []traffic{toBoth, alone} {
		store := openOn(t, newPool(t), postgres.Options{})
		require.NotEmpty(t, appendUnderCuts(t, []eventstore.Store{blindly{store}}, request, 4, 1))
	}
}

// blindly sends each append again, as if the first answer had been lost.
type blindly struct{ *postgres.Store }

func (b blindly) Append(ctx context.Context, request eventstore.AppendRequest) (eventstore.Receipt, error) {
	receipt, err := b.Store.Append(ctx, request)
	if err != nil {
		return receipt, err
	}
	for n := range request.Writes {
		request.Writes[n].Expected = eventstore.Any
	}
	_, err = b.Store.Append(ctx, request)
	return receipt, err
}

// traffic is what a client appends as its n-th.
type traffic func(client, n int, data string) eventstore.AppendRequest

// appendUnderCuts lets clients append, each through one of the stores, and returns what is wrong:
// each append must be acknowledged, and in the log once, whole, and where its receipt says.
func appendUnderCuts(t *testing.T, stores []eventstore.Store, request traffic, clients, appends int) (findings []string) {
	t.Helper()
	receipts := make([]map[string]eventstore.Receipt, clients)
	errs := make([]error, clients)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			receipts[c] = map[string]eventstore.Receipt{}
			for n := range appends {
				name := fmt.Sprintf("%d/%d", c, n)
				receipt, err := stores[c%len(stores)].Append(t.Context(), request(c, n, name))
				for errors.Is(err, postgres.ErrUnavailable) { // lost each time, and not made: so it may be made again
					receipt, err = stores[c%len(stores)].Append(t.Context(), request(c, n, name))
				}
				if err != nil {
					errs[c] = fmt.Errorf("append %s: %w", name, err)
					return
				}
				receipts[c][name] = receipt
			}
		})
	}
	all.Wait()
	if err := errors.Join(errs...); err != nil {
		findings = append(findings, err.Error())
	}

	times := map[string]int{}
	var last eventstore.Position
	read, err := stores[0].ReadLog(t.Context(), eventstore.LogQuery{})
	require.NoError(t, err)
	for e, err := range read.Events() {
		require.NoError(t, err)
		if last++; e.Position != last {
			findings = append(findings, fmt.Sprintf("position %d follows %d", e.Position, last-1))
		}
		var c, n int
		_, err := fmt.Sscanf(string(e.Data), "%d/%d", &c, &n)
		require.NoError(t, err)
		times[string(e.Data)]++
		receipt, events := receipts[c][string(e.Data)], request(c, n, "").EventCount()
		if at := receipt.Token.Position; e.Position > at || e.Position <= at-eventstore.Position(events) {
			findings = append(findings, fmt.Sprintf("event of %s at %d, its receipt says %d", e.Data, e.Position, at))
		}
		if v := receipt.Versions[e.Stream]; e.Version > v || e.Version <= v-eventstore.Version(events) {
			findings = append(findings, fmt.Sprintf("event of %s is version %d of %s, its receipt says %d", e.Data, e.Version, e.Stream, v))
		}
	}
	for name, n := range times {
		if want := request(0, 0, "").EventCount(); n != want {
			findings = append(findings, fmt.Sprintf("%d events of %s, want %d", n, name, want))
		}
	}
	if len(times) != clients*appends {
		findings = append(findings, fmt.Sprintf("%d appends in the log, %d acknowledged", len(times), clients*appends))
	}
	return findings
}

// alone writes one event to the client's own stream, at the version that the client knows.
func alone(client, n int, data string) eventstore.AppendRequest {
	request := loneEvent(eventstore.NewStreamID("own", fmt.Sprint(client)), eventstore.Version(n))
	request.Writes[0].Events[0].Data = []byte(data)
	return request
}

// toBoth writes two events to the client's own stream and one to a shared one. Some expect
// the version that the client knows, the others any.
func toBoth(client, n int, data string) eventstore.AppendRequest {
	event := eventstore.EventData{Type: "order.placed", Data: []byte(data)}
	own := eventstore.Write{Stream: eventstore.NewStreamID("own", fmt.Sprint(client)), Events: []eventstore.EventData{event, event}}
	if n%2 == 1 {
		own.Expected = eventstore.Exactly(eventstore.Version(2 * n))
	}
	shared := eventstore.Write{Stream: eventstore.NewStreamID("shared", fmt.Sprint(client%2)), Events: []eventstore.EventData{event}}
	return eventstore.AppendRequest{Writes: []eventstore.Write{own, shared}}
}
