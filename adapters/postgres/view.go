package postgres

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/projection"
)

// The names put into these statements were checked by package projection: lower-case
// letters, digits and underscores. They are quoted, because they may be reserved words.

const maxNameBytes = 63 // Postgres cuts longer names

// tableOf returns the table of a generation, quoted.
func (s schema) tableOf(of projection.Generation) string {
	return fmt.Sprintf(`%s."%s"`, s.quoted(), tableName(of))
}

func tableName(of projection.Generation) string {
	return fmt.Sprintf("view_%s_%d", of.Name, of.Version)
}

// createTable returns the statements that create a view's table, without its indexes. Its pages
// keep some room, so that most new versions of a row are put beside the old one and touch no index.
func (s schema) createTable(model projection.Model) (string, error) {
	if len(model.Columns) == 0 {
		return "", nil // a handler keeps its own tables
	}
	if name := tableName(model.Generation); len(name) > maxNameBytes {
		return "", fmt.Errorf("the name of the table, %s, has %d bytes, the limit is %d", name, len(name), maxNameBytes)
	}
	table := s.tableOf(model.Generation)
	columns := []string{`"key" text COLLATE "C" NOT NULL PRIMARY KEY`}
	for _, c := range model.Columns {
		column := fmt.Sprintf("%q %s", c.Name, columnTypes[c.Kind].name)
		if c.Kind == projection.Text {
			column += ` COLLATE "C"`
		}
		if !c.Nullable {
			column += " NOT NULL"
		}
		columns = append(columns, column)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "CREATE TABLE %s (%s) WITH (fillfactor = 90);\n", table, strings.Join(columns, ", "))
	fmt.Fprintf(&text, "SELECT %s.share('%s');\n", s.quoted(), table)
	return text.String(), nil
}

// createIndex returns the statement that makes one of a view's indexes, which has the key as its
// second column, as every order has.
func (s schema) createIndex(model projection.Model, name string) string {
	return fmt.Sprintf("CREATE INDEX ON %s (%q, \"key\")", s.tableOf(model.Generation), name)
}

// columnList returns the key and the columns, quoted.
func columnList(model projection.Model) []string {
	names := []string{`"key"`}
	for _, c := range model.Columns {
		names = append(names, fmt.Sprintf("%q", c.Name))
	}
	return names
}

// Load implements [projection.Sink].
func (s *Sink) Load(ctx context.Context, model projection.Model, keys []string) ([]projection.Row, error) {
	return s.rows(ctx, model, s.db.schema.loadSQL(model, 1), texts(keys))
}

// loadSQL returns the statement that loads rows by their keys, which are its nth parameter.
func (s schema) loadSQL(model projection.Model, nth int) string {
	return fmt.Sprintf(`SELECT %s FROM %s WHERE "key" = ANY ($%d::text[])`, strings.Join(columnList(model), ", "), s.tableOf(model.Generation), nth)
}

// List implements [projection.Sink].
func (s *Sink) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	text, _, params, err := s.db.schema.listSQL(model, list, 1)
	if err != nil {
		return nil, err
	}
	return s.rows(ctx, model, text, params...)
}

// listSQL returns the statement that loads rows in an order, that order, and its parameters, of
// which the first is the nth of the statement that it becomes part of.
func (s schema) listSQL(model projection.Model, list projection.ListQuery, nth int) (text, orderBy string, params [][]byte, err error) {
	order, direction, beyond := []string{`"key"`}, "", ">"
	if list.By != "" {
		order = []string{fmt.Sprintf("%q", list.By), `"key"`}
	}
	if list.Descending {
		direction, beyond = " DESC", "<"
	}
	where := ""
	params = [][]byte{bigint(int64(list.Limit))}
	if list.After != nil {
		place := []string{fmt.Sprintf("$%d", nth+1), fmt.Sprintf("$%d", nth+2)}[:len(order)]
		where = fmt.Sprintf(" WHERE (%s) %s (%s)", strings.Join(order, ", "), beyond, strings.Join(place, ", "))
		if list.By != "" {
			value, err := parameter(model.Columns[model.Column(list.By)], list.After.Value)
			if err != nil {
				return "", "", nil, err
			}
			params = append(params, value)
		}
		params = append(params, []byte(list.After.Key))
	}
	orderBy = strings.Join(order, direction+", ") + direction
	text = fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT $%d", strings.Join(columnList(model), ", "),
		s.tableOf(model.Generation), where, orderBy, nth)
	return text, orderBy, params, nil
}

func (s *Sink) rows(ctx context.Context, model projection.Model, text string, params ...[]byte) (found []projection.Row, err error) {
	types := typesOfColumns(model)
	err = s.on(ctx, func(on session) error {
		return on.rows(ctx, statement{text, text}, func(row [][]byte) error {
			found = append(found, readRow(types, row))
			return nil
		}, params...)
	})
	if err != nil {
		return nil, s.notBuilt(model.Generation, err)
	}
	return found, nil
}

// notBuilt says of a table that is not there what that means.
func (s *Sink) notBuilt(of projection.Generation, err error) error {
	if isAbsent(err) {
		return fmt.Errorf("%w: %s in schema %s; run its projection", projection.ErrNotBuilt, of, s.db.schema)
	}
	return err
}

// commitSQL returns the statement that moves a checkpoint and writes rows, both or neither.
//
// It is one statement, and so one round trip and one transaction. What it writes it takes from
// the row that the move returns: there is none if the checkpoint was moved by somebody else.
// The snapshot is older than the wait for the checkpoint's lock, and still right: nobody has
// changed a row since, or the move would fail.
func (s *Sink) commitSQL(model projection.Model) string {
	const moveParams = 15
	return fmt.Sprintf(`WITH moved AS (
%s), %s
SELECT FROM moved`, s.db.sql.moveCheckpoint.text, s.db.schema.writeSQL(model, moveParams, "moved"))
}

// writeSQL returns the parts of a statement that write rows, if there is one in a part that
// comes before. Their parameters begin after so many others.
func (s schema) writeSQL(model projection.Model, params int, moved string) string {
	columns, table := columnList(model), s.tableOf(model.Generation)
	values := []string{fmt.Sprintf("unnest($%d::text[])", params+1)}
	var set []string
	for n, c := range model.Columns {
		values = append(values, fmt.Sprintf("unnest($%d::%s[])", params+2+n, columnTypes[c.Kind].name))
		set = append(set, fmt.Sprintf("%q = excluded.%q", c.Name, c.Name))
	}
	return fmt.Sprintf(`written AS (
	INSERT INTO %s (%s)
	SELECT %s FROM %s
	ON CONFLICT ("key") DO UPDATE SET %s
), removed AS (
	DELETE FROM %s WHERE "key" = ANY ($%d::text[]) AND EXISTS (SELECT FROM %s)
)`, table, strings.Join(columns, ", "), strings.Join(values, ", "), moved, strings.Join(set, ", "),
		table, params+1+len(columns), moved)
}

// writeInline returns the statement by which an append moves the checkpoint of a projection
// and writes its rows, or does one of the two. It raises an error unless it moves.
func (s *statements) writeInline(in schema, model projection.Model, moves, writes bool) string {
	const moveParams = 7
	raise := fmt.Sprintf("SELECT %s.at_head((SELECT count(*) FROM moved), '%s')", in.quoted(), model.Generation)
	switch {
	case moves && writes:
		return fmt.Sprintf("WITH moved AS (\n%s), %s\n%s", s.moveInline.text, in.writeSQL(model, moveParams, "moved"), raise)
	case moves:
		return fmt.Sprintf("WITH moved AS (\n%s)\n%s", s.moveInline.text, raise)
	case writes:
		return fmt.Sprintf("WITH one AS (SELECT 1), %s\nSELECT FROM one", in.writeSQL(model, 0, "one"))
	default:
		return "SELECT"
	}
}

// changeSet is what one statement writes: arrays of keys and of each column's values, and of
// the keys of rows that go.
type changeSet struct {
	columns []encoder // the keys first
	rows    int
	gone    []string
	bytes   int
}

// newChangeSets divides the changes into sets that are not too large. They are in the order of
// the index, which the server then goes through once.
func newChangeSets(model projection.Model, changes []projection.Change) ([]*changeSet, error) {
	changes = slices.Clone(changes)
	slices.SortFunc(changes, func(a, b projection.Change) int { return strings.Compare(a.Key, b.Key) })
	set := newChangeSet(model)
	sets := []*changeSet{set}
	for _, change := range changes {
		if set.bytes >= commitBytes {
			set = newChangeSet(model)
			sets = append(sets, set)
		}
		if err := set.add(model, change); err != nil {
			return nil, fmt.Errorf("row %q of %s: %w", change.Key, model.Generation, err)
		}
	}
	return sets, nil
}

func newChangeSet(model projection.Model) *changeSet {
	set := &changeSet{columns: make([]encoder, 1+len(model.Columns))}
	set.columns[0].array(oidText, 0)
	for n, c := range model.Columns {
		set.columns[n+1].arrayHead(columnTypes[c.Kind].oid, 0, c.Nullable)
	}
	return set
}

func (s *changeSet) add(model projection.Model, change projection.Change) error {
	if change.Deleted {
		s.gone = append(s.gone, change.Key)
		return nil
	}
	if len(change.Values) != len(model.Columns) {
		return fmt.Errorf("it has %d values for %d columns", len(change.Values), len(model.Columns))
	}
	s.rows++
	s.columns[0].text(change.Key)
	for n, value := range change.Values {
		e := &s.columns[n+1]
		before := len(e.b)
		if err := e.value(model.Columns[n], value); err != nil {
			return err
		}
		s.bytes += len(e.b) - before
	}
	return nil
}

// params returns the arrays.
func (s *changeSet) params() [][]byte {
	params := make([][]byte, 0, len(s.columns)+1)
	for n := range s.columns {
		s.columns[n].setLength(s.rows)
		params = append(params, s.columns[n].b)
	}
	return append(params, texts(s.gone))
}
