package sqlite

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/leftfold/leftfold/projection"
)

// The names put into these statements were checked by package projection: lower-case
// letters, digits and underscores.

// tableOf returns the table of a generation, quoted.
func tableOf(of projection.Generation) string {
	return fmt.Sprintf(`"view_%s_%d"`, of.Name, of.Version)
}

var columnTypes = map[projection.Kind]string{
	projection.Bool: "INTEGER", projection.Int: "INTEGER", projection.Time: "INTEGER",
	projection.Float: "REAL", projection.Text: "TEXT", projection.JSON: "TEXT", projection.Bytes: "BLOB",
}

// createTable returns the statements that create a view's table and its indexes. A
// table without rowid is its own primary key index, and every other index carries the
// key, which is the second column of every order.
func createTable(model projection.Model) []string {
	if len(model.Columns) == 0 {
		return nil // a handler keeps its own tables
	}
	table := tableOf(model.Generation)
	columns := []string{`"key" TEXT NOT NULL PRIMARY KEY`}
	for _, c := range model.Columns {
		column := fmt.Sprintf("%q %s", c.Name, columnTypes[c.Kind])
		if !c.Nullable {
			column += " NOT NULL"
		}
		columns = append(columns, column)
	}
	statements := []string{fmt.Sprintf("CREATE TABLE %s (%s) STRICT, WITHOUT ROWID", table, strings.Join(columns, ", "))}
	for _, name := range model.Indexes {
		statements = append(statements, fmt.Sprintf(`CREATE INDEX "view_%s_%d_by_%s" ON %s (%q)`, model.Name, model.Version, name, table, name))
	}
	return statements
}

// columnList returns the key and the columns, quoted.
func columnList(model projection.Model) string {
	names := []string{`"key"`}
	for _, c := range model.Columns {
		names = append(names, fmt.Sprintf("%q", c.Name))
	}
	return strings.Join(names, ", ")
}

// Load implements [projection.Sink].
func (s *Sink) Load(ctx context.Context, model projection.Model, keys []string) ([]projection.Row, error) {
	statement, list, err := loadSQL(model, keys)
	if err != nil {
		return nil, err
	}
	return s.rows(ctx, model, statement, list)
}

// loadSQL returns the statement that loads rows by their keys: one parameter, however many.
func loadSQL(model projection.Model, keys []string) (statement, list string, err error) {
	text, err := json.Marshal(keys)
	return fmt.Sprintf(`SELECT %s FROM %s WHERE "key" IN (SELECT value FROM json_each(?))`, columnList(model), tableOf(model.Generation)), string(text), err
}

// loadRows loads rows in a transaction.
func loadRows(ctx context.Context, tx *transaction, model projection.Model, keys []string) ([]projection.Row, error) {
	statement, list, err := loadSQL(model, keys)
	if err != nil {
		return nil, err
	}
	return queryRows(ctx, tx, model, statement, list)
}

func queryRows(ctx context.Context, tx *transaction, model projection.Model, statement string, args ...any) (found []projection.Row, err error) {
	rows, err := tx.query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err tells
	for rows.Next() {
		row, err := scanRow(rows, model)
		if err != nil {
			return nil, err
		}
		found = append(found, row)
	}
	return found, rows.Err()
}

// List implements [projection.Sink].
func (s *Sink) List(ctx context.Context, model projection.Model, list projection.ListQuery) ([]projection.Row, error) {
	statement, args := listSQL(model, list)
	return s.rows(ctx, model, statement, args...)
}

// listSQL returns the statement that reads rows in an order.
func listSQL(model projection.Model, list projection.ListQuery) (statement string, args []any) {
	order, place := `"key"`, "?"
	if list.By != "" {
		order, place = fmt.Sprintf(`%q, "key"`, list.By), "?, ?"
	}
	direction, beyond := "", ">"
	if list.Descending {
		direction, beyond = " DESC", "<"
	}
	where := ""
	if list.After != nil {
		where = fmt.Sprintf(" WHERE (%s) %s (%s)", order, beyond, place)
		if list.By != "" {
			args = append(args, toSQL(list.After.Value))
		}
		args = append(args, list.After.Key)
	}
	statement = fmt.Sprintf("SELECT %s FROM %s%s ORDER BY %s LIMIT ?",
		columnList(model), tableOf(model.Generation), where, strings.ReplaceAll(order, ",", direction+",")+direction)
	return statement, append(args, list.Limit)
}

func (s *Sink) rows(ctx context.Context, model projection.Model, statement string, args ...any) (found []projection.Row, err error) {
	err = s.file.read(ctx, func(tx *transaction) error {
		if hash, err := hashOf(ctx, tx, model.Generation); err != nil {
			return err
		} else if hash == "" {
			return fmt.Errorf("%w: %s in %s; run its projection", projection.ErrNotBuilt, model.Generation, s.file.path)
		}
		found, err = queryRows(ctx, tx, model, statement, args...)
		return err
	})
	return found, err
}

func scanRow(rows interface{ Scan(into ...any) error }, model projection.Model) (projection.Row, error) {
	row := projection.Row{Values: make([]any, len(model.Columns))}
	into := make([]any, 0, len(model.Columns)+1)
	into = append(into, &row.Key)
	for n := range row.Values {
		into = append(into, &row.Values[n])
	}
	if err := rows.Scan(into...); err != nil {
		return row, err
	}
	for n, c := range model.Columns {
		row.Values[n] = fromSQL(c.Kind, row.Values[n])
	}
	return row, nil
}

// writeRows applies the changes. The two statements are prepared once for all of them.
func writeRows(ctx context.Context, tx *transaction, model projection.Model, changes []projection.Change) error {
	table := tableOf(model.Generation)
	put := fmt.Sprintf("INSERT OR REPLACE INTO %s (%s) VALUES (?%s)", table, columnList(model), strings.Repeat(", ?", len(model.Columns)))
	remove := fmt.Sprintf(`DELETE FROM %s WHERE "key" = ?`, table)
	for _, change := range changes {
		var err error
		switch {
		case change.Deleted:
			err = tx.exec(ctx, remove, change.Key)
		case len(change.Values) != len(model.Columns):
			err = fmt.Errorf("it has %d values for %d columns", len(change.Values), len(model.Columns))
		default:
			err = tx.exec(ctx, put, arguments(change.Row)...)
		}
		if err != nil {
			return fmt.Errorf("row %q of %s: %w", change.Key, model.Generation, err)
		}
	}
	return nil
}

func arguments(row projection.Row) []any {
	args := make([]any, 0, 1+len(row.Values))
	args = append(args, row.Key)
	for _, value := range row.Values {
		args = append(args, toSQL(value))
	}
	return args
}

// toSQL and fromSQL translate the values that SQLite has no type for.
func toSQL(value any) any {
	switch value := value.(type) {
	case time.Time:
		return value.UnixMicro()
	case []byte:
		if value == nil {
			return []byte{} // nil would be NULL
		}
	}
	return value
}

func fromSQL(kind projection.Kind, value any) any {
	switch {
	case value == nil:
		return nil
	case kind == projection.Bool:
		return value.(int64) != 0
	case kind == projection.Time:
		return time.UnixMicro(value.(int64)).UTC()
	case kind == projection.Bytes && len(value.([]byte)) == 0:
		return []byte{}
	}
	return value
}
