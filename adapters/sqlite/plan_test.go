package sqlite

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
)

// TestPlans holds every statement that may meet a long log to the index that its file
// names, and to results that come in order without sorting.
func TestPlans(t *testing.T) {
	store := openInternal(t)
	const byPosition = "SEARCH events USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)"
	for name, c := range map[string]struct{ text, want string }{
		"head":             {headSQL, "SEARCH events"},
		"stream_end":       {streamEndSQL, "SEARCH events USING INDEX sqlite_autoindex_events_1 (stream_id=?)"},
		"stream_forwards":  {streamForwardsSQL, "SEARCH events USING INDEX sqlite_autoindex_events_1 (stream_id=? AND version>? AND version<?)"},
		"stream_backwards": {streamBackwardsSQL, "SEARCH events USING INDEX sqlite_autoindex_events_1 (stream_id=? AND version>? AND version<?)"},
		"log_all":          {logAllSQL, byPosition},
		"log_types":        {logTypesSQL, byPosition},
		"first_of_types":   {firstOfTypesSQL, byPosition},
		"log_positions":    {logPositionsSQL, "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)"},
		"anchors":          {anchorsSQL, "SEARCH events USING INTEGER PRIMARY KEY (rowid=?)"},
		"tagged":           {taggedSQL, "SEARCH lead USING PRIMARY KEY (tag=? AND position>? AND position<?)"},
		"tagged, others":   {taggedSQL, "SEARCH t USING PRIMARY KEY (tag=? AND position=?)"},
		"tagged_types":     {taggedTypesSQL, "SEARCH lead USING PRIMARY KEY (tag=? AND position>? AND position<?)"},
		"types of tagged":  {taggedTypesSQL, "SEARCH e USING INTEGER PRIMARY KEY (rowid=?)"},
		"tag_sample":       {tagSampleSQL, "SEARCH event_tags USING PRIMARY KEY (tag=? AND position>? AND position<?)"},
		"command":          {commandSQL, "SEARCH commands USING PRIMARY KEY (command_id=?)"},
		"prune_page":       {prunePageSQL, "SEARCH commands USING PRIMARY KEY (command_id>?)"},
		"prune_commands":   {pruneCommandsSQL, "SEARCH commands USING PRIMARY KEY (command_id>? AND command_id<?)"},
		"writer_batch":     {writerBatchSQL, "SEARCH writers USING INDEX sqlite_autoindex_writers_1 (writer_id=?)"},
	} {
		t.Run(name, func(t *testing.T) {
			plan := explain(t, store, c.text)
			require.Contains(t, plan, c.want)
			require.NotContains(t, plan, "SCAN events")
			require.NotContains(t, plan, "SCAN event_tags")
			require.NotContains(t, plan, "FOR ORDER BY")
		})
	}
}

func explain(t *testing.T, store *Store, text string) string {
	t.Helper()
	parameters := make([]any, strings.Count(text, "?"))
	rows, err := store.file.readers.db.Query("EXPLAIN QUERY PLAN "+single(text), parameters...)
	require.NoError(t, err)
	defer rows.Close()
	var plan strings.Builder
	for rows.Next() {
		var id, parent, unused int
		var detail string
		require.NoError(t, rows.Scan(&id, &parent, &unused, &detail))
		plan.WriteString(detail + "\n")
	}
	require.NoError(t, rows.Err())
	return plan.String()
}

func TestTheRarestTagLeads(t *testing.T) {
	store := openInternal(t)
	for n := range 100 {
		request := placed("order-1", "x", "country:uk")
		if n == 99 {
			request = placed("order-1", "x", "country:uk", "customer:7")
		}
		_, err := store.Append(t.Context(), request)
		require.NoError(t, err)
	}
	require.NoError(t, store.file.read(t.Context(), func(tx *transaction) error {
		lead, others, err := rarestFirst(t.Context(), tx, []eventstore.Tag{"country:uk", "customer:7"}, span{0, 100})
		require.EqualValues(t, "customer:7", lead)
		require.Equal(t, []eventstore.Tag{"country:uk"}, others)
		return err
	}))
}
