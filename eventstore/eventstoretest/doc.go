// Package eventstoretest is the conformance suite of package eventstore. An adapter
// that passes it may be used wherever the port is asked for:
//
//	func TestConformance(t *testing.T) {
//		eventstoretest.Run(t, func(t testing.TB) eventstore.Store { return open(t, t.TempDir()) })
//	}
//
// A rule of the port is a clause: a sentence and a check, in the file of its family.
// Each clause gets an empty store of its own, opened with the port's default limits.
// A clause about an optional power (eventstore.Notifier, eventstore.StreamDeleter,
// eventstore.CommandPruner, eventstore.Portable, eventstore.Capable, a method Close(context.Context) error) is
// skipped if the store does not have it, and so is one that needs a part which the store's Capabilities exclude.
//
// Some clauses are tortures: many clients race, answers are lost, readers follow
// writers. They print no seed, because the scheduler is part of the input; what
// they prove is a matter of rounds, see [Options] and [Scale].
//
// Each clause is known to be able to fail: mutants_test.go plants the bug that it guards
// against and demands that the clause finds it.
//
// A wrapper that embeds an eventstore.Store hides the store's optional powers, and their
// clauses are skipped; go test -v names them.
package eventstoretest
