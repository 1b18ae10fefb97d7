package load

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/leftfold/leftfold/benchmarks/stats"
	"github.com/leftfold/leftfold/benchmarks/system"
	"github.com/leftfold/leftfold/eventstore"
)

const copyInto = `COPY leftfold.events (position, version, recorded_at, event_id, stream_key, slice, schema_version,
	stream_id, type, tags, metadata, data) FROM STDIN (FORMAT binary)`

// Copy is not a store but its limit: COPY BINARY of ready rows into Leftfold's events
// table, in batches of one transaction each, over one connection. No version is checked, no
// position taken from the log and no caller answered. Only the time inside COPY counts;
// the next batch is encoded between two.
type Copy struct {
	conn     *pgx.Conn
	position int64
}

// OpenCopy connects to a database whose log is empty.
func OpenCopy(ctx context.Context, url string) (*Copy, error) {
	conn, err := pgx.Connect(ctx, url)
	return &Copy{conn: conn}, err
}

// Close gives the connection back.
func (c *Copy) Close(ctx context.Context) { _ = c.conn.Close(ctx) }

// Fill copies so many events, so that the table is as full as those of the stores.
func (c *Copy) Fill(ctx context.Context, events int) error {
	_, err := c.conn.PgConn().CopyFrom(ctx, c.encode(events), copyInto)
	return err
}

// Run copies batches until the window has passed.
func (c *Copy) Run(ctx context.Context, batch int, window time.Duration) (*stats.Sample, error) {
	sample := &stats.Sample{}
	for start := time.Now(); sample.Ops == 0 || time.Since(start) < window; {
		rows := c.encode(batch)
		begun := time.Now()
		if _, err := c.conn.PgConn().CopyFrom(ctx, rows, copyInto); err != nil {
			return nil, fmt.Errorf("copy %d events: %w", batch, err)
		}
		took := time.Since(begun)
		sample.Latency.Record(took)
		sample.Elapsed += took
		sample.Ops++
		sample.Events += int64(batch)
	}
	return sample, nil
}

// postgresEpoch is where Postgres counts microseconds from.
var postgresEpoch = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC)

// encode returns the next rows in the format of COPY BINARY. Streams grow in turns and
// end with longEnough events, as with Writers.
func (c *Copy) encode(batch int) *bytes.Reader {
	const streams = 1000
	rows := copyRows("PGCOPY\n\xff\r\n\x00" + "\x00\x00\x00\x00" + "\x00\x00\x00\x00") // no flags, no extension
	now := time.Since(postgresEpoch).Microseconds()
	for range batch {
		c.position++
		id := eventstore.NewEventID()
		stream := streamName("copied", c.position/(streams*longEnough), "-", c.position%streams)
		key := sha256.Sum256([]byte(stream))
		rows.begin(12)
		rows.bigint(c.position)
		rows.bigint(c.position/streams%longEnough + 1)
		rows.bigint(now)
		rows.bytes(id[:])
		rows.bytes(key[:16])
		rows.smallint(int16(eventstore.SliceOf(stream)))
		rows.smallint(1)
		rows.bytes([]byte(stream))
		rows.bytes([]byte(system.EventType))
		rows.null()
		rows.bytes(system.Metadata)
		rows.bytes(system.NewEvent(system.NewRef(firstSeedWriter, c.position)).Data)
	}
	rows.begin(-1)
	return bytes.NewReader(rows)
}

// copyRows is data of COPY BINARY: each row its number of columns, each column its length.
type copyRows []byte

func (r *copyRows) begin(columns int16) { *r = binary.BigEndian.AppendUint16(*r, uint16(columns)) }

func (r *copyRows) bytes(value []byte) {
	*r = append(binary.BigEndian.AppendUint32(*r, uint32(len(value))), value...)
}

func (r *copyRows) bigint(n int64) { r.bytes(binary.BigEndian.AppendUint64(nil, uint64(n))) }

func (r *copyRows) smallint(n int16) { r.bytes(binary.BigEndian.AppendUint16(nil, uint16(n))) }

func (r *copyRows) null() { *r = binary.BigEndian.AppendUint32(*r, 1<<32-1) }
