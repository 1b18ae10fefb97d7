package redisstore

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/leftfold/leftfold/internal/moments"
)

// origin is the server that replicas follow: how much it had written, and when, by our clock.
// What a server has written is counted in bytes, its offset, and the count is of one history,
// which has an id: a replica takes over both. They change when a server begins anew or is promoted.
type origin struct {
	client   *redis.Client
	patience time.Duration

	mu      sync.Mutex
	id      string // of the history whose offsets are remembered
	history moments.History
}

// probe is [projection.Replica].Probe. If the origin does not answer, the replica is judged without
// it, and what it shows grows older.
func (o *origin) probe(ctx context.Context, replica *redis.Client) (lag time.Duration, err error) {
	main, failed := o.ask(ctx) // first, so that what the replica has by then shows
	text, err := replica.Info(ctx).Result()
	if err != nil {
		return -1, err
	}
	info := parseInfo(text)
	if err := info.mayBeRead(); err != nil {
		return -1, err
	}
	if failed == nil && !info.follows(main) {
		return -1, fmt.Errorf("it is no copy of the primary: it follows %s:%s, in another history; make it a replica of the primary", info["master_host"], info["master_port"])
	}
	return o.lag(info), nil
}

// ask asks the origin how much it has written, and remembers that.
func (o *origin) ask(ctx context.Context) (serverInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, o.patience)
	defer cancel()
	began := time.Now() // before it answers: what was there by now is below its offset
	text, err := o.client.Info(ctx, "replication").Result()
	if err != nil {
		return nil, err
	}
	info := parseInfo(text)
	offset, err := strconv.ParseInt(info["master_repl_offset"], 10, 64)
	if err == nil && info["role"] != "master" {
		err = errors.New("it is not the master any more")
	}
	if err != nil {
		return nil, err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.id != info["master_replid"] {
		o.id = info["master_replid"]
		o.history.Forget()
	}
	if newest, ok := o.history.Newest(); !ok || newest.At.Before(began) {
		o.history.Remember(moments.Moment{At: began, Position: offset})
	}
	return info, nil
}

// lag returns how old what a replica has is at most; negative: nobody knows.
func (o *origin) lag(replica serverInfo) time.Duration {
	offset, err := strconv.ParseInt(replica["slave_repl_offset"], 10, 64)
	o.mu.Lock()
	defer o.mu.Unlock()
	if err != nil || replica["master_replid"] != o.id {
		return -1
	}
	at := o.history.Reached(offset)
	if at.IsZero() {
		return -1
	}
	return time.Since(at)
}

// mayBeRead returns why a server must not be read in the place of its master, as far as it knows
// itself. One that has lost its master is in order: it has what it had, and grows older.
func (info serverInfo) mayBeRead() error {
	switch {
	case info["redis_mode"] == "cluster":
		return fmt.Errorf("%w: it is a node of a Cluster, whose replicas are not read", ErrUnsuitable)
	case info["role"] != "slave":
		return fmt.Errorf("it is no replica any more: its role is %q", info["role"])
	case info["loading"] == "1" || info["master_sync_in_progress"] == "1":
		return errors.New("it is being filled with a copy of its master")
	case info["slave_read_only"] == "0":
		return errors.New("it takes writes of its own; set replica-read-only yes")
	}
	return nil
}

// follows reports whether what a replica has is the beginning of what a master has: it is in the
// same history, or in the one that the master was a replica in, and not past the promotion.
func (info serverInfo) follows(master serverInfo) bool {
	if info["master_replid"] == master["master_replid"] {
		return true
	}
	at, err1 := strconv.ParseInt(info["slave_repl_offset"], 10, 64)
	until, err2 := strconv.ParseInt(master["second_repl_offset"], 10, 64)
	return errors.Join(err1, err2) == nil && info["master_replid"] == master["master_replid2"] && at < until
}
