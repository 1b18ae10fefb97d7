package eventstore

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strings"
	"sync"
)

// CommandID makes a repeated command harmless: a store remembers it for ever, unless an operator
// prunes it ([CommandPruner]).
type CommandID [16]byte

// Command names the command behind an append.
type Command struct {
	// ID is looked up before anything else. Zero: the append is not idempotent.
	ID CommandID

	// Hash is compared when the id is seen again. It covers the command itself, by name
	// and payload, never events, event ids or expected versions: a retried decision
	// produces others. Zero: not compared.
	Hash CommandHash
}

// CommandHash is a digest of a command, see [HashCommand].
type CommandHash [16]byte

// IsZero reports whether the id is unset.
func (id CommandID) IsZero() bool { return id == CommandID{} }

// String returns the id in hexadecimal.
func (id CommandID) String() string { return hex.EncodeToString(id[:]) }

// IsZero reports whether the hash is unset.
func (h CommandHash) IsZero() bool { return h == CommandHash{} }

// Mismatches reports whether two appends under one id are different commands: both
// hashes are set and they differ.
func (h CommandHash) Mismatches(other CommandHash) bool {
	return h != other && !h.IsZero() && !other.IsZero()
}

// NewCommandID returns the id made of the parts: the first 16 bytes of a SHA-256 over
// the parts, each preceded by its length, so that no two lists of parts share an encoding.
func NewCommandID(parts ...string) CommandID {
	h := sha256.New()
	for _, part := range parts {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		h.Write([]byte(part))
	}
	return CommandID(h.Sum(nil)[:16])
}

// HashCommand returns the hash of a command: its name and its canonical payload. The same
// command must give the same bytes each time it is sent, so leave out times and new ids.
func HashCommand(name string, payload []byte) CommandHash {
	return CommandHash(NewCommandID("command", name, string(payload)))
}

// DeriveCommandID returns the id under which one append of a command is remembered.
//
// One command may append several times, to several boundaries (a stream, a set of
// streams, a query), and several times to the same one; each append needs an id of
// its own that a retry of the whole command finds again. So the id is made of the
// principal, the command's id, the boundary in sorted order, and the number of earlier
// appends of this command to this boundary. The principal keeps one client from
// claiming the ids of another.
func DeriveCommandID(principal, id string, boundary []string, nth int) CommandID {
	sorted := slices.Sorted(slices.Values(boundary))
	var count [8]byte
	binary.BigEndian.PutUint64(count[:], uint64(nth))
	return NewCommandID(append([]string{"append", principal, id, string(count[:])}, sorted...)...)
}

// commandScope is a command under way. It counts the appends to each boundary.
type commandScope struct {
	principal, id string
	hash          CommandHash

	mu   sync.Mutex
	seen map[string]int
}

type commandScopeKey struct{}

// WithCommand returns a context for handling one command, once. Repositories take the
// ids of their appends from it. A retry of the command must start from a fresh
// WithCommand, so that the counts start again.
func WithCommand(ctx context.Context, principal, id string, hash CommandHash) context.Context {
	return context.WithValue(ctx, commandScopeKey{}, &commandScope{
		principal: principal, id: id, hash: hash, seen: map[string]int{},
	})
}

// NextCommand returns the [Command] of the next append to the boundary under the
// command that ctx carries, and counts it. It is zero if ctx carries none. Call it
// once for each decision, not for each try: tries of one decision share the id.
func NextCommand(ctx context.Context, boundary ...string) Command {
	scope, ok := ctx.Value(commandScopeKey{}).(*commandScope)
	if !ok {
		return Command{}
	}
	sorted := slices.Sorted(slices.Values(boundary))
	key := strings.Join(sorted, "\x00")
	scope.mu.Lock()
	defer scope.mu.Unlock()
	nth := scope.seen[key]
	scope.seen[key]++
	return Command{ID: DeriveCommandID(scope.principal, scope.id, sorted, nth), Hash: scope.hash}
}
