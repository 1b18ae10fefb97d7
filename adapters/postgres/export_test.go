package postgres

import (
	"context"
	"strings"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// SetPatience makes tests of a server that hangs fast. Not while an append is under way.
func (s *Store) SetPatience(batch, reconnect, settle time.Duration) {
	s.appender.patience = patience{batch, reconnect, settle}
}

// CutAppender closes the socket under an idle appender, so that its next write fails.
func (s *Store) CutAppender() error { return s.appender.conn.Conn().PgConn().Conn().Close() }

// SetOverlap makes batches of so many events go while another is under way. Not while an
// append is under way.
func (s *Store) SetOverlap(events int) { s.appender.overlap = events }

// ReadLarge is for benchmarks of it.
var ReadLarge = readLarge

// How long a test waits for what must come, and how often it looks.
const (
	TestPatience = time.Minute
	TestStep     = time.Millisecond
)

// FlipInline is the first half of SwitchInline.
func (s *Store) FlipInline(ctx context.Context) error { return s.flip(ctx) }

// InlineInHalves makes a store commit appends before their rows: a mutant.
func (s *Store) InlineInHalves() { s.db.sql.beginInline.text = "SELECT" }

// Blind makes a sink move checkpoints wherever they stand: a mutant.
func (s *Sink) Blind() *Sink {
	st := &s.db.sql.moveCheckpoint
	st.text = strings.Replace(st.text, "incarnation = $11 AND position = $12 AND anchor_id = $13 AND fence = $14 AND parks = $15",
		"($11::integer, $12::bigint, $13::uuid, $14::bigint, $15::bigint) IS NOT NULL", 1)
	return s
}

// RowsFirst looks with the rows before the checkpoints: a mutant.
type RowsFirst struct{ *Sink }

func (s RowsFirst) Look(ctx context.Context, model projection.Model, rows projection.RowQuery) (look projection.Look, err error) {
	var found []projection.Row
	builds := builds{sink: s.Sink, name: model.Name, unindexed: map[projection.Generation]int{}}
	load := s.db.schema.loadSQL(model, 1)
	err = s.on(ctx, func(on session) error {
		return on.together(ctx, call{statement: statement{load, load}, params: [][]byte{texts(rows.Keys)}, scan: func(row [][]byte) error {
			found = append(found, readRow(typesOfColumns(model), row))
			return nil
		}}, call{statement: s.db.sql.builds, params: [][]byte{[]byte(model.Name)}, scan: builds.scan})
	})
	look = projection.NewLook(builds.all, model.Generation)
	look.Rows = found
	return look, err
}
