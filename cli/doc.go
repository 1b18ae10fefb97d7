// Package cli is what the commands of Leftfold have in common: the program leftfold, and the verbs that a
// program mounts in its own binary. Stores are opened by URL in cli/stores, and the verbs about a
// store are in cli/storecmd.
//
// Results go to standard output, everything else to standard error: bars, questions and what went
// wrong. A verb that prints results has -o, see [Output]. People get tables, no wider than their terminal. The
// forms for programs are stable: a field may come, none goes or changes its meaning.
//
// A bar moves on a terminal only. Elsewhere it is a line every few seconds, see [Bar]. There is colour on a
// terminal only, and none where NO_COLOR is set or TERM is dumb.
//
// A verb that destroys something asks first, see [Confirm]. Where there is no terminal to ask at it does
// nothing unless it is told --yes.
//
// What went wrong is one line: what was being done, why it failed, and what to do next. The exit code says the same
// to a program:
//
//	  0  it worked                            [ExitOK]
//	  1  it did not, or a check failed        [ExitFailed]
//	  2  the command line is wrong            [ExitUsage]
//	130  it was interrupted, as by Ctrl-C     [ExitInterrupted]
package cli
