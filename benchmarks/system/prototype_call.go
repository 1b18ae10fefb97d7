package system

import (
	"context"
	"encoding/binary"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgtype"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/leftfold/leftfold/eventstore"
)

const (
	prototypeAppend     = `SELECT base, bad, acts FROM es_append($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`
	prototypeAppendName = "append"
)

// prototypeCaller calls es_append over one connection.
type prototypeCaller struct {
	conn *pgxpool.Conn
	args prototypeArguments
}

func newPrototypeCaller(ctx context.Context, pool *pgxpool.Pool) (*prototypeCaller, error) {
	conn, err := pool.Acquire(ctx)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Conn().PgConn().Prepare(ctx, prototypeAppendName, prototypeAppend, nil); err != nil {
		conn.Release()
		return nil, err
	}
	return &prototypeCaller{conn: conn}, nil
}

func (c *prototypeCaller) close() { c.conn.Release() }

// call appends the batch and answers each of its appends.
func (c *prototypeCaller) call(ctx context.Context, batch []*waiting) {
	position, refused, err := c.append(ctx, batch)
	for n, w := range batch {
		switch version, not := refused[n]; {
		case err != nil:
			w.answered <- answer{err: err}
		case not:
			w.answered <- answer{err: fmt.Errorf("%s at version %d, expected %d: refused by its version or its condition", w.Stream, version, w.Expected)}
		default:
			position += int64(len(w.Events))
			w.answered <- answer{position: position}
		}
	}
}

// append returns the position before the batch, and the version of the stream of each
// append that was refused.
func (c *prototypeCaller) append(ctx context.Context, batch []*waiting) (base int64, refused map[int]int64, err error) {
	c.args.encode(batch)
	binaryFormat := []int16{pgx.BinaryFormatCode}
	result := c.conn.Conn().PgConn().ExecPrepared(ctx, prototypeAppendName, c.args.values(), binaryFormat, binaryFormat).Read()
	if result.Err != nil {
		return 0, nil, result.Err
	}
	row := result.Rows[0]
	base = int64(binary.BigEndian.Uint64(row[0]))
	if row[1] == nil {
		return base, nil, nil
	}
	var bad []int32
	var versions []int64
	types := c.conn.Conn().TypeMap()
	if err := types.Scan(pgtype.Int4ArrayOID, pgx.BinaryFormatCode, row[1], &bad); err != nil {
		return 0, nil, err
	}
	if err := types.Scan(pgtype.Int8ArrayOID, pgx.BinaryFormatCode, row[2], &versions); err != nil {
		return 0, nil, err
	}
	refused = make(map[int]int64, len(bad))
	for _, n := range bad {
		refused[int(n-1)] = versions[n-1]
	}
	return base, refused, nil
}

// prototypeArguments are those of es_append, with the names that they have there.
type prototypeArguments struct {
	aStream, aExpected                            array
	eApp, eIdx, eStream, eType, eID, eMeta, eData array
	tEv, tTag                                     array
	cApp, cAfter, cTags                           array
}

func (p *prototypeArguments) all() []*array {
	return []*array{
		&p.aStream, &p.aExpected,
		&p.eApp, &p.eIdx, &p.eStream, &p.eType, &p.eID, &p.eMeta, &p.eData,
		&p.tEv, &p.tTag,
		&p.cApp, &p.cAfter, &p.cTags,
	}
}

// values are the arrays, NULL for one without elements.
func (p *prototypeArguments) values() [][]byte {
	var values [][]byte
	for _, a := range p.all() {
		values = append(values, a.orNull())
	}
	return values
}

func (p *prototypeArguments) encode(batch []*waiting) {
	for _, a := range p.all() {
		*a = (*a)[:0]
	}
	event := 0
	for n, w := range batch {
		p.aStream.text(w.Stream)
		p.aExpected.int8(w.Expected)
		for i, e := range w.Events {
			event++
			p.eApp.int4(n + 1)
			p.eIdx.int4(i + 1)
			p.eStream.text(w.Stream)
			p.eType.text(EventType)
			p.eID.uuid(w.ids[i])
			p.eMeta.bytea(Metadata)
			p.eData.bytea(e.Data)
			for _, tag := range w.Tags {
				p.tEv.int4(event)
				p.tTag.text(string(tag))
			}
		}
		if len(w.OnlyIfNone) > 0 {
			p.cApp.int4(n + 1)
			p.cAfter.int8(w.After)
			p.cTags.text(joined(w.OnlyIfNone))
		}
	}
}

// joined is the tags of a condition as es_append splits them.
func joined(tags []eventstore.Tag) string {
	var text strings.Builder
	for n, tag := range tags {
		if n > 0 {
			text.WriteByte('\x1f')
		}
		text.WriteString(string(tag))
	}
	return text.String()
}

// array is a one-dimensional array without NULLs in its binary format: the number of
// dimensions, no NULLs, the type of the elements, their number, the first index, and each
// element after its length.
type array []byte

const arrayLengthAt = 12

func (a *array) orNull() []byte {
	if len(*a) == 0 {
		return nil
	}
	return *a
}

// next makes room for the head of the array before the first element and counts this one.
func (a *array) next(oid uint32, length int) {
	if len(*a) == 0 {
		for _, word := range []uint32{1, 0, oid, 0, 1} {
			*a = binary.BigEndian.AppendUint32(*a, word)
		}
	}
	count := (*a)[arrayLengthAt:]
	binary.BigEndian.PutUint32(count, binary.BigEndian.Uint32(count)+1)
	*a = binary.BigEndian.AppendUint32(*a, uint32(length))
}

func (a *array) int4(n int) {
	a.next(pgtype.Int4OID, 4)
	*a = binary.BigEndian.AppendUint32(*a, uint32(n))
}

func (a *array) int8(n int64) {
	a.next(pgtype.Int8OID, 8)
	*a = binary.BigEndian.AppendUint64(*a, uint64(n))
}

func (a *array) text(s string) {
	a.next(pgtype.TextOID, len(s))
	*a = append(*a, s...)
}

func (a *array) uuid(id [16]byte) {
	a.next(pgtype.UUIDOID, len(id))
	*a = append(*a, id[:]...)
}

func (a *array) bytea(data []byte) {
	a.next(pgtype.ByteaOID, len(data))
	*a = append(*a, data...)
}
