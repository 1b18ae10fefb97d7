package projectiontest

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/leftfold/leftfold/projection"
)

var listClauses = []clause[projection.Sink]{
	sinkClause("a list follows the key, or a column and then the key, both ways", func(ctx context.Context, s *stand) error {
		rows := []projection.Row{plainRow("b", 10, "x"), plainRow("a", 10, "Z"), plainRow("c", -3, "ä"), plainRow("B", 200, "")}
		if err := s.commit(ctx, put(rows...)...); err != nil {
			return err
		}
		for by, want := range map[string]string{"": "Babc", "a_int": "cabB", "a_float": "cabB", "a_time": "cabB", "a_text": "Babc", "a_bytes": "Babc", "a_bool": "cBab"} {
			if err := s.listed(ctx, projection.ListQuery{By: by, Limit: 10}, want); err != nil {
				return err
			}
			if err := s.listed(ctx, projection.ListQuery{By: by, Limit: 10, Descending: true}, reversed(want)); err != nil {
				return err
			}
		}
		return s.listed(ctx, projection.ListQuery{Limit: 2}, "Ba")
	}),
	sinkClause("pages of a list hold every row once, equal values included", func(ctx context.Context, s *stand) error {
		var rows []projection.Row
		for n := range 26 {
			rows = append(rows, plainRow(string(rune('a'+n)), int64(n/7), "x"))
		}
		if err := s.commit(ctx, put(rows...)...); err != nil {
			return err
		}
		all := "abcdefghijklmnopqrstuvwxyz"
		for _, by := range []string{"", "a_int", "a_text", "a_time", "a_float"} {
			if err := first(s.paged(ctx, projection.ListQuery{By: by, Limit: 4}, all), s.paged(ctx, projection.ListQuery{By: by, Limit: 5, Descending: true}, reversed(all))); err != nil {
				return err
			}
		}
		return nil
	}),
}

// listed checks the keys of one page, each a single character.
func (s *stand) listed(ctx context.Context, list projection.ListQuery, want string) error {
	rows, err := s.List(ctx, s.model, list)
	return first(err, same(fmt.Sprintf("keys by %q", list.By), keysOf(rows), want))
}

// paged checks the keys of all pages together.
func (s *stand) paged(ctx context.Context, list projection.ListQuery, want string) error {
	var got strings.Builder
	for {
		rows, err := s.List(ctx, s.model, list)
		if err != nil {
			return err
		}
		got.WriteString(keysOf(rows))
		if len(rows) < list.Limit || got.Len() > len(want) {
			return same(fmt.Sprintf("keys by %q, page by page", list.By), got.String(), want)
		}
		last := rows[len(rows)-1]
		list.After = &projection.Cursor{Key: last.Key}
		if list.By != "" {
			list.After.Value = last.Values[s.model.Column(list.By)]
		}
	}
}

func keysOf(rows []projection.Row) string {
	var keys strings.Builder
	for _, row := range rows {
		keys.WriteString(row.Key)
	}
	return keys.String()
}

func reversed(text string) string {
	runes := []rune(text)
	slices.Reverse(runes)
	return string(runes)
}
