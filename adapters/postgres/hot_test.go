package postgres_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/postgres"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/eventstoretest"
)

// Writers that are alone in their processes, and many in another, append to a few streams. All
// but those that are made in between are refused, with the version that the stream had then.
func TestTortureLoneWritersAndBatchesOnHotStreams(t *testing.T) {
	t.Parallel()
	h := newHot(t, newPool(t))
	h.do(t, 100*eventstoretest.Scale)
	require.Empty(t, h.findings)
	require.Greater(t, h.alone, 30*eventstoretest.Scale, "appended by leftfold.append_one")
	require.Greater(t, len(h.conflicts), 100*eventstoretest.Scale)
}

func TestMutantsOnHotStreamsAreCaught(t *testing.T) {
	t.Parallel()
	for _, mutant := range []struct{ function, old, made string }{
		{"append_one", `pg_advisory_xact_lock(1818585702, "leftfold".lock_key())`, "NULL"},
		{"append_one", "append_one.expected = coalesce(", "0 <= coalesce("},
		{"append", "versions := ARRAY(", "nothing := ARRAY("}, // a stream that is shorter than expected is said to be empty
		{"append", `pg_advisory_xact_lock(1818585702, "leftfold".lock_key())`, "NULL"},
	} {
		pool := newPool(t)
		mutate(t, pool, mutant.function, mutant.old, mutant.made)
		h := newHot(t, pool)
		h.do(t, 50)
		require.NotEmpty(t, h.findings, mutant.old)
	}
}

// hot is the streams hot-0 to hot-2, and what their writers were told.
type hot struct {
	pool    *pgxpool.Pool
	writers []eventstore.Store // one each
	sent    []*calls           // by those who are alone

	mu        sync.Mutex
	made      map[string]place // by the data of the event
	conflicts []hotConflict
	alone     int
	findings  []string
}

// place is where an event stands.
type place struct {
	position eventstore.Position
	stream   eventstore.StreamID
	version  eventstore.Version
}

// hotConflict is a refusal, and between which two moments it was given.
type hotConflict struct {
	is          *eventstore.VersionConflictError
	asked, told time.Time
}

func newHot(t *testing.T, pool *pgxpool.Pool) *hot {
	t.Helper()
	h := &hot{pool: pool, made: map[string]place{}}
	for range 4 {
		var sent calls
		h.sent = append(h.sent, &sent)
		h.writers = append(h.writers, throughProxy(t, pool, sent.hook))
	}
	together := openOn(t, pool, postgres.Options{})
	for range 8 {
		h.writers = append(h.writers, together)
	}
	return h
}

func (h *hot) do(t *testing.T, appends int) {
	t.Helper()
	var all sync.WaitGroup
	for n, store := range h.writers {
		all.Go(func() {
			w := hotWriter{hot: h, name: fmt.Sprint(n), store: store, alone: n < len(h.sent), known: map[eventstore.StreamID]eventstore.Version{}}
			for range appends {
				w.append(t)
			}
		})
	}
	all.Wait()
	h.check(t)
	lone, batches := int64(0), int64(0)
	for _, sent := range h.sent {
		l, b := sent.since()
		lone, batches = lone+l, batches+b
	}
	h.alone = int(lone - batches) // each that was declined was sent as a batch too
	t.Logf("%d events, %d of them alone, %d conflicts", len(h.made), h.alone, len(h.conflicts))
}

type hotWriter struct {
	*hot

	name  string
	store eventstore.Store
	alone bool
	known map[eventstore.StreamID]eventstore.Version
	n     int
}

func (w *hotWriter) append(t *testing.T) {
	stream := eventstore.NewStreamID("hot", fmt.Sprint(rand.IntN(3)))
	expected := w.known[stream]
	if rand.IntN(10) == 0 {
		expected += 100 // nobody is that far
	}
	request := w.request(stream, expected)
	asked := time.Now()
	receipt, err := w.store.Append(t.Context(), request)
	told := time.Now()
	w.mu.Lock()
	defer w.mu.Unlock()
	conflict, refused := errors.AsType[*eventstore.VersionConflictError](err)
	switch {
	case refused:
		w.known[conflict.Stream] = conflict.Actual
		w.conflicts = append(w.conflicts, hotConflict{conflict, asked, told})
	case err != nil:
		w.findings = append(w.findings, err.Error())
	default:
		w.told(request, receipt)
	}
}

// request is one plain event of who is alone, and the others' is larger now and then.
func (w *hotWriter) request(stream eventstore.StreamID, expected eventstore.Version) eventstore.AppendRequest {
	event := func() eventstore.EventData {
		w.n++
		return eventstore.EventData{Type: "order.changed", Data: fmt.Appendf(nil, "%s/%d", w.name, w.n)}
	}
	request := eventstore.AppendRequest{Writes: []eventstore.Write{{Stream: stream, Expected: eventstore.Exactly(expected), Events: []eventstore.EventData{event()}}}}
	if w.alone {
		return request
	}
	for range rand.IntN(3) {
		request.Writes[0].Events = append(request.Writes[0].Events, event())
	}
	if rand.IntN(2) == 0 {
		request.Writes = append(request.Writes, eventstore.Write{Stream: eventstore.NewStreamID("own", w.name), Events: []eventstore.EventData{event()}})
	}
	return request
}

// told notes where the receipt says that the events are.
func (w *hotWriter) told(request eventstore.AppendRequest, receipt eventstore.Receipt) {
	at := receipt.Token.Position - eventstore.Position(request.EventCount())
	for _, write := range request.Writes {
		version := receipt.Versions[write.Stream]
		w.known[write.Stream] = version
		for n, e := range write.Events {
			at++
			w.made[string(e.Data)] = place{at, write.Stream, version - eventstore.Version(len(write.Events)-1-n)}
		}
	}
}

// check holds the log, by plain SQL, against what the writers were told.
func (h *hot) check(t *testing.T) {
	t.Helper()
	rows, err := h.pool.Query(t.Context(), "SELECT position, stream_id, version, recorded_at, convert_from(data, 'UTF8') FROM leftfold.events ORDER BY position")
	require.NoError(t, err)
	recorded := map[eventstore.StreamID][]time.Time{} // from version 1 on
	var last, events eventstore.Position
	var is place
	var at time.Time
	var data string
	_, err = pgx.ForEachRow(rows, []any{&is.position, &is.stream, &is.version, &at, &data}, func() error {
		if is.position != last+1 {
			h.findings = append(h.findings, fmt.Sprintf("position %d follows %d", is.position, last))
		}
		recorded[is.stream] = append(recorded[is.stream], at)
		if n := len(recorded[is.stream]); int(is.version) != n {
			h.findings = append(h.findings, fmt.Sprintf("version %d of %s stands where %d should", is.version, is.stream, n))
		}
		if h.made[data] != is {
			h.findings = append(h.findings, fmt.Sprintf("event %s is %v, and was said to be %v", data, is, h.made[data]))
		}
		last = is.position
		events++
		return nil
	})
	require.NoError(t, err)
	if int(events) != len(h.made) {
		h.findings = append(h.findings, fmt.Sprintf("%d events, %d were acknowledged", events, len(h.made)))
	}
	for _, c := range h.conflicts {
		if !c.isTrue(recorded[c.is.Stream]) {
			h.findings = append(h.findings, fmt.Sprintf("false: %v", c.is))
		}
	}
}

// isTrue reports whether the stream was at the version between the question and the answer: its
// event was there before the answer, and the next one not before the question.
func (c hotConflict) isTrue(recorded []time.Time) bool {
	expected, _ := c.is.Expected.Version()
	actual := int(c.is.Actual)
	return expected != c.is.Actual && actual <= len(recorded) &&
		(actual == 0 || !recorded[actual-1].After(c.told)) &&
		(actual == len(recorded) || !recorded[actual].Before(c.asked.Truncate(time.Microsecond)))
}
