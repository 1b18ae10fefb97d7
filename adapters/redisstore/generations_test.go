package redisstore_test

import (
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/internal/testservers"
	"github.com/leftfold/leftfold/projection"
)

// As with a commit: whatever makes a change of generations fail, all keys are what they were.
func TestAChangeOfGenerationsThatFailsChangesNothing(t *testing.T) {
	client := connectTo(t, start(t, testservers.RedisOptions{}))
	do := func(args ...any) { require.NoError(t, client.Do(t.Context(), args...).Err()) }
	second := numbers
	second.Version = 2
	keys := append(slices.Clone(numbersKeys), "shop:{numbers}:2:meta", "shop:{numbers}:2:rows", "shop:{numbers}:2:order")
	all := slices.Clone(faults)
	for _, command := range []string{"hgetall", "unlink"} {
		all = append(all, fault{name: "no right to " + command, happen: []any{"ACL", "SETUSER", "app", "-" + command}})
	}
	failed := map[string]int{}
	for _, f := range all {
		for what, change := range map[string]func(s *stand) error{
			"open": func(s *stand) error {
				third := numbers
				third.Version = 3
				return s.Open(t.Context(), third, s.at.Source)
			},
			"reset":   func(s *stand) error { return s.Reset(t.Context(), numbers.Generation, s.at.Source) },
			"promote": func(s *stand) error { return s.Promote(t.Context(), second.Generation) },
			"retire":  func(s *stand) error { return s.Retire(t.Context(), second.Generation) },
		} {
			do("FLUSHALL")
			do("ACL", "SETUSER", "app", "reset", "on", "nopass", "~*", "&*", "+@all")
			app := redis.NewClient(&redis.Options{Addr: client.Options().Addr, Username: "app", Password: "any", MaxRetries: -1})
			s := stands(t, openAs(t, app, "shop"))
			require.NoError(t, s.commit(t.Context(), put(row("a", 1, "x"), row("b", 2, "y"))...))
			require.NoError(t, s.Open(t.Context(), second, s.at.Source))
			at, err := s.Checkpoint(t.Context(), second.Generation, s.at.Source.Store)
			require.NoError(t, err)
			to := at
			to.Anchor = s.at.Anchor
			require.NoError(t, s.Commit(t.Context(), second, projection.Move{From: at, To: to}, put(row("c", 3, "z"))))

			do(f.happen...)
			before := dump(t, client, append(keys, "shop:{numbers}:3:meta", "shop:{numbers}:3:rows"))
			if err := change(s); err != nil {
				failed[what]++
				require.Equal(t, before, dump(t, client, append(keys, "shop:{numbers}:3:meta", "shop:{numbers}:3:rows")), "%s, %s: %v", what, f.name, err)
			}
			do("CONFIG", "SET", "maxmemory", "0", "min-replicas-to-write", "0")
			require.NoError(t, app.Close())
		}
	}
	for what, times := range failed {
		require.Greater(t, times, 5, what)
	}
	require.Len(t, failed, 4)
}
