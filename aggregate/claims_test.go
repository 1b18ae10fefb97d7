package aggregate_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/adapters/memory"
	"github.com/leftfold/leftfold/aggregate"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/internal/commandtest"
)

// A user has an e-mail address that no other user may have.

type User struct{ Email string }

type EmailChanged struct{ From, To string }

const Email eventstore.TagKey[string] = "email"

var Users = aggregate.Define("user", func(e EmailChanged, u *User) { u.Email = e.To },
	codec.Event[EmailChanged]("user.email_changed", codec.Tags(func(e EmailChanged) (tags []eventstore.Tag) {
		if e.From != "" {
			tags = append(tags, Email.Release(e.From))
		}
		if e.To != "" {
			tags = append(tags, Email.Claim(e.To))
		}
		return tags
	})))

func ChangeEmail(to string) aggregate.Decision[User, EmailChanged] {
	return func(u User) ([]EmailChanged, error) { return []EmailChanged{{u.Email, to}}, nil }
}

// The event claims the address. Whoever comes second is refused, until it is given back.
func ExampleTakenError() {
	ctx := context.Background()
	users := aggregate.NewRepository(memory.NewStore(), Users)
	_, err := users.Execute(ctx, "1", ChangeEmail("ada@example.org"))
	fmt.Println(err)
	_, err = users.Execute(ctx, "2", ChangeEmail("ada@example.org"))
	fmt.Println(err)
	_, _ = users.Execute(ctx, "1", ChangeEmail("countess@example.org"))
	_, err = users.Execute(ctx, "2", ChangeEmail("ada@example.org"))
	fmt.Println(err)
	// Output:
	// <nil>
	// execute user-2: email:ada@example.org is taken
	// <nil>
}

func ExampleHolder() {
	ctx, store := context.Background(), memory.NewStore()
	_, _ = aggregate.NewRepository(store, Users).Execute(ctx, "1", ChangeEmail("ada@example.org"))
	fmt.Println(aggregate.Holder(ctx, store, Email.Claim("ada@example.org")))
	fmt.Println(aggregate.Holder(ctx, store, Email.Claim("bob@example.org")))
	// Output:
	// user-1 true <nil>
	//  false <nil>
}

func TestOfManyWhoClaimAValueOneGetsIt(t *testing.T) {
	for range 5 {
		require.NoError(t, commandtest.RaceForClaim(t.Context(), memory.NewStore(), 64))
	}
}

func TestPlantedBugAClaimThatIsCheckedAndNotGuardedIsFound(t *testing.T) {
	const racers = 64
	var all sync.WaitGroup // every racer has looked before any may append
	all.Add(racers)
	var once sync.Map
	twin := hooked{Store: memory.NewStore(), append: func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
		if _, again := once.LoadOrStore(r.Writes[0].Stream, true); !again {
			all.Done()
		}
		all.Wait()
		r.Condition = nil
		return next.Append(ctx, r)
	}}
	require.ErrorContains(t, commandtest.RaceForClaim(t.Context(), twin, racers), "64 winners, want 1")
}

func TestATakenValueIsARefusal(t *testing.T) {
	users := aggregate.NewRepository(memory.NewStore(), Users)
	_, err := users.Execute(t.Context(), "1", ChangeEmail("ada"))
	require.NoError(t, err)
	_, err = users.Execute(t.Context(), "2", ChangeEmail("ada"))
	_, refused := errors.AsType[*aggregate.RefusedError](err)
	require.True(t, refused)
}

// The kept state is from before another process gave the user an address. Decided on it, the command
// claims one that is taken; decided on what the log has, it claims nothing.
func TestNobodyIsRefusedAValueForWhatAnOldStateClaims(t *testing.T) {
	store := memory.NewStore()
	mine := aggregate.NewRepository(store, Users).WithCache(aggregate.CacheOptions{})
	others := aggregate.NewRepository(store, Users)
	_, err := mine.Execute(t.Context(), "1", ChangeEmail(""))
	require.NoError(t, err)
	_, err = others.Execute(t.Context(), "1", ChangeEmail("countess"))
	require.NoError(t, err)
	_, err = others.Execute(t.Context(), "2", ChangeEmail("ada"))
	require.NoError(t, err)

	_, err = mine.Execute(t.Context(), "1", func(u User) ([]EmailChanged, error) {
		if u.Email != "" {
			return nil, nil
		}
		return []EmailChanged{{"", "ada"}}, nil
	})
	require.NoError(t, err)
	_, err = mine.Execute(t.Context(), "1", ChangeEmail("ada"))
	require.ErrorIs(t, err, aggregate.ErrTaken)
}

func TestAHolderMayClaimItsValueAgain(t *testing.T) {
	store := memory.NewStore()
	users := aggregate.NewRepository(store, Users)
	for range 2 { // the second event releases what it claims
		_, err := users.Execute(t.Context(), "1", ChangeEmail("ada"))
		require.NoError(t, err)
	}
	_, err := users.Execute(t.Context(), "2", ChangeEmail("ada"))
	require.ErrorIs(t, err, aggregate.ErrTaken)
}

func TestOnlyTheHolderReleases(t *testing.T) {
	store := memory.NewStore()
	users := aggregate.NewRepository(store, Users)
	_, err := users.Execute(t.Context(), "1", ChangeEmail("ada"))
	require.NoError(t, err)
	_, err = users.Execute(t.Context(), "2", func(User) ([]EmailChanged, error) { return []EmailChanged{{From: "ada"}}, nil })
	require.NoError(t, err)
	_, err = users.Execute(t.Context(), "2", ChangeEmail("ada"))
	require.ErrorIs(t, err, aggregate.ErrTaken)
}

// One append may hand a value over, in this order only.
func TestAnAppendReleasesAndClaimsInItsOrder(t *testing.T) {
	store := memory.NewStore()
	users := aggregate.NewRepository(store, Users)
	_, err := users.Execute(t.Context(), "1", ChangeEmail("ada"))
	require.NoError(t, err)
	give, take := users.Plan("1", ChangeEmail("countess")), users.Plan("2", ChangeEmail("ada"))
	_, err = aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{take, give})
	require.ErrorIs(t, err, aggregate.ErrTaken)
	_, err = aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{give, take})
	require.NoError(t, err)
	holder, _, err := aggregate.Holder(t.Context(), store, Email.Claim("ada"))
	require.NoError(t, err)
	assert.Equal(t, Users.Stream("2"), holder)

	_, err = aggregate.ExecuteAll(t.Context(), store, []aggregate.Plan{users.Plan("3", ChangeEmail("eve")), users.Plan("4", ChangeEmail("eve"))})
	require.ErrorIs(t, err, aggregate.ErrTaken, "two in one append")
}

// The claim's condition is beside the query's own: neither is lost.
func TestADecisionOverAQueryClaims(t *testing.T) {
	store := memory.NewStore()
	register := func(id string, meanwhile func()) error {
		_, err := aggregate.Decide(t.Context(), store, Users.Events(), eventstore.Tagged("country:uk"),
			func(n *int, _ any, _ eventstore.Recorded) { *n++ },
			func(int) ([]aggregate.Write, error) {
				meanwhile()
				return []aggregate.Write{{Stream: Users.Stream(id), Events: []any{EmailChanged{To: "ada"}}}}, nil
			})
		return err
	}
	tries := 0
	require.NoError(t, register("1", func() {
		if tries++; tries == 1 { // which the query selects, and the claim does not
			_, err := store.Append(t.Context(), eventstore.AppendRequest{Writes: []eventstore.Write{{
				Stream: "user-9", Events: []eventstore.EventData{{Type: "user.email_changed", Data: []byte(`{}`), Tags: []eventstore.Tag{"country:uk"}}},
			}}})
			require.NoError(t, err)
		}
	}))
	assert.Equal(t, 2, tries)
	require.ErrorIs(t, register("2", func() {}), aggregate.ErrTaken)
}

func TestARepeatedCommandIsNotRefusedForItsOwnClaim(t *testing.T) {
	users := aggregate.NewRepository(memory.NewStore(), Users)
	execute := func(id string) (eventstore.Receipt, error) {
		return users.Execute(t.Context(), id, ChangeEmail("ada"), aggregate.CommandID("register"))
	}
	_, err := execute("1")
	require.NoError(t, err)
	_, err = users.Execute(t.Context(), "1", ChangeEmail("countess"))
	require.NoError(t, err)
	_, err = users.Execute(t.Context(), "2", ChangeEmail("ada"))
	require.NoError(t, err)
	receipt, err := execute("1")
	require.NoError(t, err, "user 2 has it by now")
	assert.True(t, receipt.Repeated)
}

func TestAClaimOfNothingIsRefused(t *testing.T) {
	type Named struct{ Name string }
	const name eventstore.TagKey[string] = "name"
	named := aggregate.Define("thing", func(Named, *struct{}) {},
		codec.Event[Named]("named", codec.Tags(func(e Named) []eventstore.Tag { return []eventstore.Tag{name.Claim(e.Name)} })))
	_, err := aggregate.NewRepository(memory.NewStore(), named).Execute(t.Context(), "1",
		func(struct{}) ([]Named, error) { return []Named{{}}, nil })
	require.ErrorIs(t, err, eventstore.ErrInvalid)
	_, _, err = aggregate.Holder(t.Context(), memory.NewStore(), name.Tag("x"))
	require.ErrorIs(t, err, eventstore.ErrInvalid)
}

// unread is a store that does not read its log.
type unread struct{ aggregate.Store }

func TestAClaimOnAStoreThatDoesNotReadItsLogIsRefused(t *testing.T) {
	_, err := aggregate.NewRepository(unread{memory.NewStore()}, Users).Execute(t.Context(), "1", ChangeEmail("ada"))
	require.ErrorIs(t, err, eventstore.ErrUnsupported)
}

// The log fails over between the look and the append, and loses its newest event. What another user
// claims then stands where the look had ended, so the condition alone does not see it.
func TestAFailoverBetweenLookAndAppendHidesNothing(t *testing.T) {
	type takes func(t *testing.T, store aggregate.LogStore, id, email string) error
	for name, take := range map[string]takes{
		"of who holds a value": func(t *testing.T, store aggregate.LogStore, id, email string) error {
			_, err := aggregate.NewRepository(store.(aggregate.Store), Users).Execute(t.Context(), id, ChangeEmail(email))
			return err
		},
		"of what a query selects": func(t *testing.T, store aggregate.LogStore, id, email string) error {
			_, err := aggregate.Decide(t.Context(), store, Users.Events(), eventstore.Types("user.email_changed"),
				func(taken *map[string]bool, event any, _ eventstore.Recorded) {
					if *taken == nil {
						*taken = map[string]bool{}
					}
					(*taken)[event.(EmailChanged).To] = true
				},
				func(taken map[string]bool) ([]aggregate.Write, error) {
					if taken[email] {
						return nil, aggregate.ErrTaken
					}
					return []aggregate.Write{{Stream: Users.Stream(id), Events: []any{EmailChanged{"", email}}}}, nil
				})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := newFailing()
			for id, email := range map[string]string{"8": "eight", "9": "nine"} {
				require.NoError(t, take(t, store, id, email))
			}
			over := false
			failsOver := hooked{Store: store, append: func(next eventstore.Appender, ctx context.Context, r eventstore.AppendRequest) (eventstore.Receipt, error) {
				if !over {
					over = true
					store.failOver(t, 1)
					require.NoError(t, take(t, store, "2", "ada"))
				}
				return next.Append(ctx, r)
			}}
			require.ErrorIs(t, take(t, failsOver, "1", "ada"), aggregate.ErrTaken)
		})
	}
}
