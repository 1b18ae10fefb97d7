package projection

import "strings"

// The separator and the escape sign sort below every printable character, so that
// composite keys sort like their parts, one after the other.
const (
	keySeparator = '\x01'
	keyEscape    = '\x02'
)

// Key joins the parts of a composite key, at least one. Keys sort as their parts do, part
// by part and byte by byte, and no two lists of parts give the same key. The parts must be
// UTF-8 without NUL, like every key. See [SplitKey].
func Key(parts ...string) string {
	var key strings.Builder
	for n, part := range parts {
		if n > 0 {
			key.WriteByte(keySeparator)
		}
		for _, b := range []byte(part) {
			if b == keySeparator || b == keyEscape {
				key.WriteByte(keyEscape)
			}
			key.WriteByte(b)
		}
	}
	return key.String()
}

// SplitKey returns the parts that [Key] joined.
func SplitKey(key string) []string {
	var parts []string
	var part strings.Builder
	for n := 0; n < len(key); n++ {
		switch {
		case key[n] == keyEscape && n+1 < len(key):
			n++
			part.WriteByte(key[n])
		case key[n] == keySeparator:
			parts = append(parts, part.String())
			part.Reset()
		default:
			part.WriteByte(key[n])
		}
	}
	return append(parts, part.String())
}
