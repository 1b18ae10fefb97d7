// Package aggregatetest tests decisions without a store, in sentences:
//
//	aggregatetest.For(t, Accounts).
//		Given(Opened{"Ada"}, Deposited{100}).
//		When(Withdraw(30)).
//		Then(Withdrawn{30}).
//		ThenState(Account{Owner: "Ada", Balance: 70})
//
// Every event goes through the aggregate's codec, as it will in production, so a test
// also fails for an event that is not registered or does not come back as it was: an
// unexported field, a time with a monotonic clock. Every decision runs twice, as a
// conflict makes it, and must come to the same.
//
// A [Scenario] is a decision alone, with the conflicts that it may meet; [Holds] tries whole sequences
// of decisions against an invariant. A [Story] is the code around decisions, on a store: metadata,
// times, command ids. [RunSnapshotStore] is for who writes a store of snapshots.
package aggregatetest
