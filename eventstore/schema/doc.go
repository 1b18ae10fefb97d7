// Package schema tells which shapes of events a log holds, and whether this program can read them
// all. Both read the log from its beginning, in constant memory, and change nothing.
//
// A [Census] counts event types and schema versions. It needs no Go types, so any tool can [Take]
// one of any store; leftfold schema census does.
//
// [Check] decodes what the census finds with the events of this program, as everything that reads
// them would. Run it against a copy of the production log, or the log itself, before a deploy:
//
//	leftfold schema census --store sqlite:bank.db
//	go run ./examples/bank schema check
package schema
