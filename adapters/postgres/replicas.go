package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/projection"
)

// Standby is a hot standby of the server where a sink writes.
type Standby struct {
	// Name is for people and metrics. Default: the host and port of the pool.
	Name string
	// Pool leads to the standby; its configuration is used, as [OpenSink] does. It may lead through
	// a proxy, and to more than one standby: what is known of it is then that of any of them.
	Pool *pgxpool.Pool
}

// Replicas reads a sink's read models from whichever of its servers is fit; see
// [projection.Replicas]. Give it to [projection.NewReader] in the place of the sink.
type Replicas struct {
	*projection.Replicas

	standbys []*standby
	stop     context.CancelFunc
	watching sync.WaitGroup
}

// OpenReplicas opens the standbys of the server where a sink writes. One that cannot be opened,
// because it is down or has not replayed the schema yet, is put aside, and opened when it can be.
// The role needs [ToQuery]. Close the replicas when no reader uses them any more; the sink is the
// caller's to close, after them.
//
// A standby is put aside while it does not answer; when it is no standby any more, as after its
// promotion; and when it is a copy of another cluster, or follows another timeline than the primary
// has come to, where the server tells. Its lag is told by what this process has seen the primary
// write, and when. While the primary does not answer, its clock stands still: nothing has been
// committed since that anybody here knows of, and readers go on.
//
// A read that a standby breaks off in favour of what it has to replay goes to another server, and
// the standby stays in use; hot_standby_feedback makes that rare.
func OpenReplicas(ctx context.Context, primary *Sink, standbys []Standby, o projection.ReplicasOptions) *Replicas {
	every, timeout := o.Every, o.Timeout
	if every <= 0 {
		every = time.Second
	}
	if timeout <= 0 {
		timeout = time.Second
	}
	watch := &watch{primary: primary, timeout: timeout}
	r := &Replicas{}
	var all []projection.Replica
	for _, s := range standbys {
		config := s.Pool.Config()
		if s.Name == "" {
			s.Name = net.JoinHostPort(config.ConnConfig.Host, strconv.Itoa(int(config.ConnConfig.Port)))
		}
		one := &standby{pool: s.Pool, schema: string(primary.db.schema), watch: watch}
		r.standbys = append(r.standbys, one)
		all = append(all, projection.Replica{Name: s.Name, Sink: one, Probe: one.probe})
	}
	watch.sample(ctx) // before the standbys, whose lag it tells
	watching, stop := context.WithCancel(context.WithoutCancel(ctx))
	r.stop = stop
	r.watching.Go(func() { watch.keepSampling(watching, every) })
	r.Replicas = projection.NewReplicas(ctx, primary, all, o)
	return r
}

// Close ends the probes and what is under way on the standbys, and closes their connections. When
// ctx ends, it leaves the rest to itself.
func (r *Replicas) Close(ctx context.Context) error {
	r.stop()
	r.watching.Wait()
	r.Replicas.Close()
	var all sync.WaitGroup
	for _, s := range r.standbys {
		all.Go(func() { s.close(ctx) })
	}
	all.Wait()
	return nil
}

// Read is [Sink.Read] on whichever server is fit. If one breaks f off, f is called once more, on
// another one: what it has put together by then it has to begin anew.
func (r *Replicas) Read(ctx context.Context, of projection.Generation, f func(ctx context.Context, tx pgx.Tx) error) error {
	all := func(string) bool { return true }
	return (&held{of: of, changed: r.Changed, by: func(ctx context.Context, of projection.Generation, required []eventstore.Token, look lookAt) (projection.Look, error) {
		return r.LookBy(ctx, of, required, all, look)
	}}).run(ctx, f)
}

// standby is a standby that is opened when it answers for the first time.
type standby struct {
	pool   *pgxpool.Pool
	schema string
	watch  *watch

	mu   sync.Mutex
	sink *Sink   // nil: not open yet
	last sighted // when it was probed last
}

var errNotOpen = fmt.Errorf("%w: the standby has never answered", ErrUnavailable)

func (s *standby) opened() (*Sink, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sink == nil {
		return nil, errNotOpen
	}
	return s.sink, nil
}

// open opens the standby unless it is open. Only the probe does, which is never called twice at
// a time.
func (s *standby) open(ctx context.Context) (*Sink, error) {
	if sink, err := s.opened(); err == nil {
		return sink, nil
	}
	sink, err := OpenSink(ctx, s.pool, SinkOptions{Schema: s.schema})
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sink = sink
	return sink, nil
}

func (s *standby) close(ctx context.Context) {
	if sink, err := s.opened(); err == nil {
		_ = sink.Close(ctx) // it never fails
	}
}

// Look implements [projection.Readable].
func (s *standby) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (projection.Look, error) {
	sink, err := s.opened()
	if err != nil {
		return projection.Look{}, err
	}
	return sink.Look(ctx, model, rows)
}

// Changed implements [projection.Readable]. A standby takes no LISTEN.
func (s *standby) Changed() <-chan struct{} { return nil }

// Why a standby is put aside.
var (
	errPromoted     = errors.New("postgres: it is no standby any more: it was promoted, or its address leads to the primary; make it follow the primary, or leave it out")
	errOtherCluster = errors.New("postgres: it is a copy of another server than the primary; make it anew from the primary")
	errTimeline     = errors.New("postgres: it follows another timeline than the primary's: make it follow the server that is the primary now, or see where the primary's address leads")
)

// probe tells the lag of the standby.
func (s *standby) probe(ctx context.Context) (time.Duration, error) {
	sink, err := s.open(ctx)
	if err != nil {
		return -1, err
	}
	here, err := sink.sight(ctx)
	if err != nil {
		return -1, err
	}
	if !here.standby {
		return -1, errPromoted
	}
	before := s.last
	s.last = here
	return s.watch.compare(before, here)
}

// sighted is how far a server was when it was looked at.
type sighted struct {
	began, ended time.Time
	standby      bool
	position     int64 // in what the cluster has written; 0: nowhere
	timeline     int32 // 0: it does not tell
	cluster      int64 // 0: it does not tell
}

// sight looks how far a server is. It takes none of the connections of readers.
func (s *Sink) sight(ctx context.Context) (found sighted, err error) {
	found.began = time.Now()
	err = s.db.do(ctx, func(on session) error {
		err := on.together(ctx, call{statement: s.db.sql.server, scan: func(row [][]byte) error {
			found.standby = readBool(row[0])
			if row[1] != nil {
				found.position = readInt8(row[1])
			}
			if row[2] != nil {
				found.timeline = readInt4(row[2])
			}
			return nil
		}}, call{statement: s.db.sql.cluster, scan: func(row [][]byte) error {
			found.cluster = readInt8(row[0])
			return nil
		}})
		if failed, ok := errors.AsType[*callError](err); ok && failed.nth == 1 && errors.Is(err, ErrDenied) {
			return nil // it does not tell us
		}
		return err
	})
	found.ended = time.Now()
	return found, err
}
