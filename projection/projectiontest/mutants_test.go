package projectiontest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/projection"
)

// Each mutant is a sink with one planted bug. The named clause must catch it; a
// clause that lets it live proves nothing about real sinks.

type mutant struct{ projection.Sink }

// blind moves the checkpoint wherever it stands.
type blind struct{ mutant }

func (m blind) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From = stored
	return m.Sink.Commit(ctx, model, move, changes)
}

// anchorless compares the position only.
type anchorless struct{ mutant }

func (m anchorless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err == nil && stored.Position() == move.From.Position() {
		move.From = stored
	}
	return m.Sink.Commit(ctx, model, move, changes)
}

// fenceless lets any holder of a lease write.
type fenceless struct{ mutant }

func (m fenceless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From.Fence = stored.Fence
	return m.Sink.Commit(ctx, model, move, changes)
}

// halves writes the rows in one transaction and the checkpoint in a second, and is
// cut off between them now and then.
type halves struct {
	mutant
	commits *atomic.Int64
}

func (m halves) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	if stored != move.From {
		return subscription.ErrStale
	}
	if err := m.Sink.Commit(ctx, model, projection.Move{From: stored, To: stored}, changes); err != nil {
		return err
	}
	if m.commits.Add(1)%3 == 0 {
		return errLost
	}
	return m.Sink.Commit(ctx, model, move, nil)
}

// early moves the checkpoint first and writes the rows after.
type early struct {
	mutant
	commits *atomic.Int64
}

func (m early) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	if err := m.Sink.Commit(ctx, model, move, nil); err != nil {
		return err
	}
	if m.commits.Add(1)%3 == 0 {
		return errLost
	}
	return m.Sink.Commit(ctx, model, projection.Move{From: move.To, To: move.To}, changes)
}

// lagging shows rows as they were before the last commit, like a reader that does not
// wait for the checkpoint it promises. Its own commits are right.
type lagging struct {
	mutant
	mu   sync.Mutex
	last map[projection.Generation][]projection.Change
}

func (m *lagging) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	late := m.last[model.Generation]
	for _, change := range changes { // a row that changes again must not be set back
		late = slices.DeleteFunc(late, func(c projection.Change) bool { return c.Key == change.Key })
	}
	m.last[model.Generation] = changes
	return m.Sink.Commit(ctx, model, move, late)
}

// hurried looks at the rows, and at the checkpoint when it has moved on.
type hurried struct{ mutant }

func (m hurried) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	first, err := m.Sink.Look(ctx, model, rows)
	look := first
	for err == nil && look.Followed[0].Applied == first.Followed[0].Applied {
		look, err = m.Sink.Look(ctx, model, rows)
	}
	look.Rows = first.Rows
	return look, err
}

// outrun looks at the checkpoints alone, and at the rows when those have moved on.
type outrun struct{ projection.Sink }

func (m outrun) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := m.Sink.Look(ctx, model, rows)
	later := look
	for err == nil && later.Followed[0].Applied == look.Followed[0].Applied {
		later, err = m.Sink.Look(ctx, model, rows)
	}
	look.Rows = later.Rows
	return look, err
}

// unparked looks at everything but the parked keys.
type unparked struct{ mutant }

func (m unparked) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	look, err := m.Sink.Look(ctx, model, rows)
	for n := range look.Followed {
		look.Followed[n].Parked = nil
	}
	return look, err
}

// keeper never deletes.
type keeper struct{ mutant }

func (m keeper) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	var kept []projection.Change
	for _, change := range changes {
		if !change.Deleted {
			kept = append(kept, change)
		}
	}
	return m.Sink.Commit(ctx, model, move, kept)
}

// repeating starts each page with the row the last one ended on.
type repeating struct{ mutant }

func (m repeating) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	after := list.After
	list.After = nil
	list.Limit += 1000
	rows, err := m.Sink.List(ctx, model, list)
	for n, row := range rows {
		if after != nil && row.Key == after.Key {
			rows = rows[n:]
			break
		}
	}
	return rows[:min(len(rows), list.Limit-1000)], err
}

// parkless commits whatever list of parked keys its caller had in mind.
type parkless struct{ mutant }

func (m parkless) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	stored, err := m.Checkpoint(ctx, model.Generation, move.To.Source.Store)
	if err != nil {
		return err
	}
	move.From.Parks = stored.Parks
	return m.Sink.Commit(ctx, model, move, changes)
}

// forgetful parks nothing.
type forgetful struct{ mutant }

func (m forgetful) Commit(ctx context.Context, model projection.Model, move projection.Move, changes []projection.Change) error {
	move.Park = nil
	return m.Sink.Commit(ctx, model, move, changes)
}

// leasing is a sink with a bug planted in its leases.
type leasing struct {
	mutant
	plant func(projection.Sink, subscription.Leases) subscription.Leases
}

func (m leasing) Leases(of projection.Generation, source eventstore.StoreID) subscription.Leases {
	return m.plant(m.Sink, m.Sink.Leases(of, source))
}

// stealing gives a segment to whoever asks.
type stealing struct{ subscription.Leases }

func (l stealing) Acquire(ctx context.Context, worker subscription.WorkerID, segment subscription.Segment, ttl time.Duration) (subscription.Checkpoint, error) {
	at, err := l.Leases.Acquire(ctx, worker, segment, ttl)
	if !errors.Is(err, subscription.ErrHeld) {
		return at, err
	}
	roster, err := l.Roster(ctx)
	if err != nil {
		return at, err
	}
	for _, held := range roster.Segments {
		if err := l.Release(ctx, held.Holder, held.Checkpoint); err != nil {
			return at, err
		}
	}
	return l.Leases.Acquire(ctx, worker, segment, ttl)
}

// polite takes only what nobody holds.
type polite struct{ subscription.Leases }

func (l polite) Seize(ctx context.Context, worker subscription.WorkerID, ttl time.Duration) ([]subscription.Checkpoint, error) {
	roster, err := l.Roster(ctx)
	var all []subscription.Checkpoint
	for _, held := range roster.Segments {
		at, err := l.Acquire(ctx, worker, held.Segment, ttl)
		if err != nil {
			at = held.Checkpoint
		}
		all = append(all, at)
	}
	return all, err
}

// reviving prolongs leases that have ended.
type reviving struct{ subscription.Leases }

func (l reviving) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, reports []subscription.Report) (subscription.Roster, error) {
	for _, report := range reports {
		_, _ = l.Acquire(ctx, worker, report.Segment, ttl)
	}
	return l.Leases.Attend(ctx, worker, ttl, reports)
}

// speechless keeps no reports, and so prolongs nothing.
type speechless struct{ subscription.Leases }

func (l speechless) Attend(ctx context.Context, worker subscription.WorkerID, ttl time.Duration, _ []subscription.Report) (subscription.Roster, error) {
	return l.Leases.Attend(ctx, worker, ttl, nil)
}

// joining merges segments wherever they stand, and so passes over what one of them lacks.
type joining struct {
	subscription.Leases
	sink projection.Sink
}

func (l joining) Merge(ctx context.Context, worker subscription.WorkerID, low, high subscription.Checkpoint) (subscription.Checkpoint, error) {
	joined, err := l.Leases.Merge(ctx, worker, low, high)
	if !errors.Is(err, subscription.ErrStale) {
		return joined, err
	}
	level := high
	level.Anchor = low.Anchor
	if err := l.sink.Commit(ctx, everyKind, projection.Move{From: high, To: level}, nil); err != nil {
		return joined, err
	}
	return l.Leases.Merge(ctx, worker, low, level)
}

// heedless says that it pauses.
type heedless struct{ subscription.Leases }

func (heedless) Pause(context.Context) error { return nil }

// brief pauses for no longer than a lease lasts.
type brief struct{ subscription.Leases }

func (l brief) Pause(ctx context.Context) error {
	roster, err := l.Roster(ctx)
	for _, segment := range roster.Segments {
		if err == nil {
			err = l.Release(ctx, segment.Holder, segment.Checkpoint)
		}
		if err == nil {
			_, err = l.Acquire(ctx, subscription.OnPause, segment.Segment, time.Nanosecond)
		}
	}
	return err
}

// staged keeps the stages by itself, and promotes with a bug.
type staged struct {
	mutant
	eager bool // whatever is behind
	torn  bool // looks first, and flips later
	both  bool // without an end of the other's life

	mu   *sync.Mutex
	live *projection.Generation
}

func newStaged(m mutant) staged {
	return staged{mutant: m, mu: new(sync.Mutex), live: new(projection.Generation)}
}

func (m staged) Builds(ctx context.Context, name string) ([]projection.Build, error) {
	builds, err := m.Sink.Builds(ctx, name)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.live.Version == 0 {
		return builds, err
	}
	for n := range builds {
		switch {
		case builds[n].Generation == *m.live:
			builds[n].Stage = projection.Live
		case !m.both && builds[n].Version < m.live.Version:
			builds[n].Stage = projection.Kept
		}
	}
	return builds, err
}

func (m staged) Promote(ctx context.Context, of projection.Generation) error {
	builds, err := m.Builds(ctx, of.Name)
	if err != nil {
		return err
	}
	if _, err := projection.CheckPromotion(builds, of); err != nil && !m.eager {
		return err
	}
	if m.torn {
		time.Sleep(time.Millisecond) // room for a commit
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.live = of
	return nil
}

func eager(m staged) staged { m.eager = true; return m }
func torn(m staged) staged  { m.torn = true; return m }
func both(m staged) staged  { m.both = true; return m }

// hasty makes live whatever is opened.
type hasty struct{ staged }

func (m hasty) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	if err := m.Sink.Open(ctx, model, source); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	*m.live = model.Generation
	return nil
}

// stuttering names a read model once for each of its generations.
type stuttering struct{ mutant }

func (m stuttering) Names(ctx context.Context) (all []string, err error) {
	names, err := m.Sink.(projection.Lister).Names(ctx)
	for _, name := range names {
		builds, failed := m.Builds(ctx, name)
		err = first(err, failed)
		for range builds {
			all = append(all, name)
		}
	}
	return all, err
}

// reopening opens generations that were retired.
type reopening struct{ mutant }

func (m reopening) Open(ctx context.Context, model projection.Model, source eventstore.Identity) error {
	err := m.Sink.Open(ctx, model, source)
	if errors.Is(err, projection.ErrOutdated) {
		return nil
	}
	return err
}

// ruthless retires what is live or attended.
type ruthless struct{ mutant }

func (m ruthless) Retire(ctx context.Context, of projection.Generation) error {
	if err := m.Sink.Retire(ctx, of); !errors.Is(err, projection.ErrLive) && !errors.Is(err, projection.ErrAttended) {
		return err
	}
	return nil
}

// unfenced leaves the fences as they were.
type unfenced struct{ mutant }

func (m unfenced) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	if err := m.Sink.Reset(ctx, of, source); err != nil {
		return err
	}
	roster, err := m.Leases(of, source.Store).Roster(ctx)
	for _, l := range roster.Segments {
		to := l.Checkpoint
		to.Fence--
		err = first(err, m.Commit(ctx, projection.Model{Generation: of}, projection.Move{From: l.Checkpoint, To: to}, nil))
	}
	return err
}

// resuming ends a pause by a reset.
type resuming struct{ mutant }

func (m resuming) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	return first(m.Sink.Reset(ctx, of, source), m.Leases(of, source.Store).Resume(ctx))
}

// late removes the rows some time after it has put the checkpoints at position 0.
type late struct{ mutant }

func (m late) Reset(ctx context.Context, of projection.Generation, source eventstore.Identity) error {
	model := everyKind
	model.Generation = of
	var rows []projection.Row
	if roster, err := m.Leases(of, source.Store).Roster(ctx); err == nil && len(roster.Segments) == 1 {
		if rows, err = m.List(ctx, model, projection.ListQuery{Limit: 1000}); err != nil {
			return err
		}
	}
	if err := m.Sink.Reset(ctx, of, source); err != nil {
		return err
	}
	for range 100 { // rows that came back are as rows that never went
		at, err := m.Checkpoint(ctx, of, source.Store)
		if err == nil {
			err = m.Commit(ctx, model, projection.Move{From: at, To: at}, put(rows...))
		}
		if !errors.Is(err, subscription.ErrStale) {
			return err
		}
	}
	return nil
}

// narrow is a store that a view asks for the types of its rules, and not for those that were
// turned into them since.
type narrow struct{ eventstore.Store }

func (n narrow) ReadLog(ctx context.Context, q eventstore.LogQuery) (*eventstore.LogRead, error) {
	for at, item := range q.Query.Items {
		q.Query.Items[at].Types = slices.DeleteFunc(slices.Clone(item.Types), func(name string) bool { return name == "test.score" })
	}
	return n.Store.ReadLog(ctx, q)
}

func TestAViewThatDoesNotReadWhatItsEventsWereCalledIsCaught(t *testing.T) {
	for _, rule := range []string{
		"an old event is folded as the events that it stands for, in order and once, or as none",
		"a key is parked before an event that stands for several, without any of them, and a retry applies them all",
	} {
		mustFail(t, effectClauses, rule, Parts{narrow{memory.NewStore()}, memory.NewSink()})
	}
}

func TestEveryMutantSinkIsCaught(t *testing.T) {
	plain := func() mutant { return mutant{memory.NewSink()} }
	plant := func(bug func(projection.Sink, subscription.Leases) subscription.Leases) projection.Sink {
		return leasing{plain(), bug}
	}
	for _, m := range []struct {
		name   string
		sink   projection.Sink
		caught string
	}{
		{"blind checkpoint", blind{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"blind checkpoint", blind{plain()}, "of rivals that commit from one checkpoint exactly one wins"},
		{"no anchor", anchorless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"no fence", fenceless{plain()}, "a commit from another checkpoint than the stored one is ErrStale and changes nothing"},
		{"no fence", fenceless{plain()}, "to acquire raises the fence, and commits under an older one are ErrStale"},
		{"no count of parks", parkless{plain()}, "a commit with an older list of parked keys in mind is ErrStale and changes nothing"},
		{"parks nothing", forgetful{plain()}, "a commit parks keys and takes them up again"},
		{"steals leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return stealing{l} }), "a segment that is held is ErrHeld for others until it is released, and its holder may acquire it again"},
		{"steals leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return stealing{l} }), "of rivals for a segment exactly one gets it"},
		{"seizes what is free only", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return polite{l} }), "what is seized is taken from its holders, who cannot commit any more, and is theirs again when it is released or ends"},
		{"revives leases", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return reviving{l} }), "a lease ends by itself, and cannot be prolonged or released then"},
		{"keeps no reports", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return speechless{l} }), "to attend prolongs the leases that are reported under their fences"},
		{"merges what is apart", plant(func(s projection.Sink, l subscription.Leases) subscription.Leases { return joining{l, s} }), "neighbours merge at one checkpoint and under both leases, and not else"},
		{"pauses nothing", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return heedless{l} }), "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"pauses for a moment", plant(func(_ projection.Sink, l subscription.Leases) subscription.Leases { return brief{l} }), "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"pauses without a fence", fenceless{plain()}, "a pause takes every segment from its holder under a new fence, and keeps it until it is resumed"},
		{"promotes what is behind", eager(newStaged(plain())), "a generation that is behind is not promoted, and one that is not is"},
		{"promotes what is behind", eager(newStaged(plain())), "every segment of a promoted generation is as far as the furthest one of the live"},
		{"promotes without the lock", torn(newStaged(plain())), "nobody moves the live generation past one that is promoted in that moment"},
		{"has two live ones", both(newStaged(plain())), "a generation that is behind is not promoted, and one that is not is"},
		{"opens a second one as live", hasty{newStaged(plain())}, "the first generation of a name is live, later ones are being built, and each tells its checkpoints"},
		{"names each generation", stuttering{plain()}, "a sink that lists what it has names each once and sorted, however many generations there are"},
		{"opens what was retired", reopening{plain()}, "an older generation is neither opened nor promoted, unless it was live"},
		{"retires the live one", ruthless{plain()}, "the live generation, and one that is attended, are not retired"},
		{"resets without fences", unfenced{plain()}, "a reset takes rows and parked keys, and puts all segments at position 0 under fences that nobody holds"},
		{"resumes when it resets", resuming{plain()}, "a pause outlives a reset, and a moment in which the segments are held"},
		{"resets in two steps", late{plain()}, "rows and checkpoint are of one moment, however often it is reset meanwhile"},
		{"looks at the rows first", hurried{plain()}, "the rows of a look have what its checkpoint covers and nothing after the newest, while others commit"},
		{"looks at the rows when the checkpoints are no longer true", outrun{plain()}, "the rows of a look have what its checkpoint covers and nothing after the newest, while others commit"},
		{"hides what is parked", unparked{plain()}, "a look tells the rows, how far they have come, and what is parked"},
		{"never deletes", keeper{plain()}, "a deleted row is gone, and deleting what is not there changes nothing"},
		{"cursor includes its row", repeating{plain()}, "pages of a list hold every row once, equal values included"},
	} {
		t.Run(m.name+" by "+m.caught, func(t *testing.T) { mustFail(t, sinkClauses, m.caught, m.sink) })
	}
	for _, m := range []struct {
		name   string
		sink   projection.Sink
		caught string
	}{
		{"rows later than the checkpoint", &lagging{mutant: plain(), last: map[projection.Generation][]projection.Change{}}, "an answer after a token includes the append, while the projection runs"},
		{"parks nothing", forgetful{plain()}, "a key that cannot be made is parked while the others go on, and is retried or skipped"},
		{"second transaction", halves{plain(), new(atomic.Int64)}, "lost answers of the sink neither lose nor repeat an event"},
		{"checkpoint before rows", early{plain(), new(atomic.Int64)}, "lost answers of the sink neither lose nor repeat an event"},
		{"blind checkpoint", blind{plain()}, "rival runners that stop at any moment neither lose nor repeat an event"},
	} {
		t.Run(m.name+" by "+m.caught, func(t *testing.T) {
			mustFail(t, effectClauses, m.caught, Parts{memory.NewStore(), m.sink})
		})
	}
}

func mustFail[S any](t *testing.T, clauses []clause[S], rule string, subject S) {
	t.Helper()
	for _, c := range clauses {
		if c.rule == rule {
			if err := c.check(t.Context(), subject); err == nil || errors.Is(err, context.Canceled) {
				t.Fatalf("the mutant survived (%v)", err)
			} else {
				t.Logf("caught: %v", err)
			}
			return
		}
	}
	t.Fatalf("there is no clause %q", rule)
}
