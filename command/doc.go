// Package command routes commands to handlers. A command is a plain struct that asks for
// something to happen; a handler makes it happen, usually by executing a decision on
// an aggregate, and returns the receipt of the append.
//
// [Handle] registers a handler under a name, [Bus.Dispatch] calls it, and [Middleware]
// wraps every call. Under a command id ([ID]) a command takes effect at most once:
//
//   - every append of the handler is remembered under an id derived from the command's,
//     so a repeat finds each of them and makes only those that are missing;
//   - the same id with another command or payload is [eventstore.ErrIdempotencyMismatch].
//
// Every event that comes of a command says so in its metadata: in which conversation it was,
// what caused it, who acted and by which command. [Bus.Dispatch] says how they are found.
//
// The bus keeps nothing itself; the store remembers, in the append's own transaction.
// The promise covers appends made with the handler's context by package aggregate, not
// what else a handler does.
package command
