package postgres_test

import (
	"bytes"
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
	choose func() (fate, bool)

	appending map[int]bool             // connections whose next Sync ends an append
	awaiting  map[int][]pgproxy.Action // what becomes of the ReadyForQuery to each Sync of a connection
	cuts      int
	overlaps  int // cuts of two appends at once
}

func newUnlucky(choose func() (fate, bool)) *unlucky {
	return &unlucky{choose: choose, appending: map[int]bool{}, awaiting: map[int][]pgproxy.Action{}}
}

func (u *unlucky) hook(f pgproxy.Frame) pgproxy.Action {
	switch {
	case f.FromClient && f.Type == pgproxy.Bind:
		u.appending[f.Conn] = bytes.Contains(f.Payload, []byte("leftfold/append\x00"))
	case f.FromClient && f.Type == pgproxy.Sync:
		next := fate{pgproxy.Forward, pgproxy.Forward}
		if u.appending[f.Conn] {
			delete(u.appending, f.Conn)
			if chosen, ok := u.choose(); ok {
				next = chosen
				u.cuts++
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
	target := pool.Config().ConnConfig
	proxy, err := pgproxy.Start(t.Context(), fmt.Sprintf("%s:%d", target.Host, target.Port), hook)
	require.NoError(t, err)
	t.Cleanup(proxy.Close)
	url := fmt.Sprintf("postgres://%s@%s/%s?sslmode=disable", target.User, proxy.Addr(), target.Database)
	return openOn(t, poolOn(t, url), postgres.Options{})
}

func TestALostAnswerIsSettled(t *testing.T) {
	for _, c := range fates {
		t.Run(c.name, func(t *testing.T) {
			left := 3
			u := newUnlucky(func() (fate, bool) { left--; return c.fate, left >= 0 })
			store := throughProxy(t, newPool(t), u.hook)
			require.Empty(t, appendUnderCuts(t, store, 4, 5))
			require.Equal(t, 3, u.cuts)
		})
	}
}

// A quarter of the round trips fails, and no append has a command id.
func TestTortureLostAnswersWithoutCommandIDs(t *testing.T) {
	for _, c := range []struct {
		name    string
		overlap int
	}{{"one batch at a time", 0}, {"two batches under way", 1}} {
		t.Run(c.name, func(t *testing.T) {
			u := newUnlucky(func() (fate, bool) { return fates[rand.IntN(len(fates))].fate, rand.IntN(4) == 0 })
			store := throughProxy(t, newPool(t), u.hook)
			store.SetOverlap(c.overlap)
			const clients = 10
			require.Empty(t, appendUnderCuts(t, store, clients, 50*eventstoretest.Scale))
			t.Logf("%d appends, %d cuts, %d of them with another batch under way", clients*50*eventstoretest.Scale, u.cuts, u.overlaps)
			require.Greater(t, u.cuts, 10)
			require.Equal(t, c.overlap > 0, u.overlaps > 5)
		})
	}
}

// A client that takes a lost answer for a failure and sends again must be caught by the check.
func TestMutantBlindRetryIsCaught(t *testing.T) {
	store := openOn(t, newPool(t), postgres.Options{})
	require.NotEmpty(t, appendUnderCuts(t, blindly{store}, 4, 1))
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

// appendUnderCuts lets clients append to a stream of their own and to a shared one at once,
// and returns what is wrong: each acknowledged append must be in the log once, whole, and
// where its receipt says.
func appendUnderCuts(t *testing.T, store eventstore.Store, clients, appends int) (findings []string) {
	t.Helper()
	receipts := make([]map[string]eventstore.Receipt, clients)
	errs := make([]error, clients)
	var all sync.WaitGroup
	for c := range clients {
		all.Go(func() {
			receipts[c] = map[string]eventstore.Receipt{}
			for n := range appends {
				name := fmt.Sprintf("%d/%d", c, n)
				receipt, err := store.Append(t.Context(), toBoth(c, n, name))
				if err != nil {
					errs[c] = fmt.Errorf("append %s: %w", name, err)
					return
				}
				receipts[c][name] = receipt
			}
		})
	}
	all.Wait()
	require.NoError(t, errors.Join(errs...))

	times := map[string]int{}
	var last eventstore.Position
	read, err := store.ReadLog(t.Context(), eventstore.LogQuery{})
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
		receipt := receipts[c][string(e.Data)]
		if at := receipt.Token.Position; e.Position != at && e.Position != at-1 && e.Position != at-2 {
			findings = append(findings, fmt.Sprintf("event of %s at %d, its receipt says %d", e.Data, e.Position, at))
		}
		if v := receipt.Versions[e.Stream]; e.Version != v && e.Version != v-1 {
			findings = append(findings, fmt.Sprintf("event of %s is version %d of %s, its receipt says %d", e.Data, e.Version, e.Stream, v))
		}
	}
	for name, n := range times {
		if n != 3 {
			findings = append(findings, fmt.Sprintf("%d events of %s, want 3", n, name))
		}
	}
	if len(times) != clients*appends {
		findings = append(findings, fmt.Sprintf("%d appends in the log, %d acknowledged", len(times), clients*appends))
	}
	return findings
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
