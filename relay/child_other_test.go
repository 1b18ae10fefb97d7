//go:build !unix

package relay_test

// publishUntilKilled is a child of tests that are for Unix.
func publishUntilKilled(string) error { return nil }

const childPath = "LEFTFOLD_RELAY_CHILD_PATH"
