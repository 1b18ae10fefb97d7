package pgproxy

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
)

// Frame is a message of the protocol: a type, a length, a payload.
// https://www.postgresql.org/docs/current/protocol-message-formats.html
type Frame struct {
	// Conn is the number of the connection; the proxy's first is 1.
	Conn int

	// FromClient tells a client's frame from a server's: types are letters, and both use
	// the same ones.
	FromClient bool

	// Type is one of the constants below, or any other type of the protocol.
	Type byte

	// Payload is what follows the length. The hook may keep it, and must not change it.
	Payload []byte
}

// Types of a client's frames.
const (
	Startup byte = 0 // what a connection begins with: a startup message or a cancel request
	Query   byte = 'Q'
	Parse   byte = 'P'
	Bind    byte = 'B'
	Execute byte = 'E'
	Flush   byte = 'H'
	Sync    byte = 'S'
)

// Types of a server's frames.
const (
	DataRow         byte = 'D'
	CommandComplete byte = 'C'
	ErrorResponse   byte = 'E'
	ReadyForQuery   byte = 'Z'
)

// Types that only end a request.
const (
	functionCall       byte = 'F'
	emptyQueryResponse byte = 'I'
	portalSuspended    byte = 's'
)

// Text returns the SQL of a Query or Parse, the command tag of a CommandComplete ("COMMIT",
// "INSERT 0 1"), and "" for others.
func (f Frame) Text() string {
	text := f.Payload
	switch {
	case f.FromClient && f.Type == Parse:
		_, text, _ = bytes.Cut(text, []byte{0}) // the statement's name stands before it
	case f.FromClient && f.Type == Query, !f.FromClient && f.Type == CommandComplete:
	default:
		return ""
	}
	text, _, _ = bytes.Cut(text, []byte{0})
	return string(text)
}

// endsRequest: the server answers it with a ReadyForQuery.
func (f Frame) endsRequest() bool {
	return f.FromClient && (f.Type == Query || f.Type == Sync || f.Type == functionCall)
}

// endsExecute: the server says no more about one Execute.
func (f Frame) endsExecute() bool {
	return !f.FromClient && (f.Type == CommandComplete || f.Type == emptyQueryResponse || f.Type == portalSuspended)
}

const lengthSize = 4

// readFrame reads a frame that has a type, which is every one but a client's first.
func readFrame(from io.Reader) (Frame, error) {
	var kind [1]byte
	if _, err := io.ReadFull(from, kind[:]); err != nil {
		return Frame{}, err
	}
	payload, err := readPayload(from)
	return Frame{Type: kind[0], Payload: payload}, err
}

func readPayload(from io.Reader) ([]byte, error) {
	var length [lengthSize]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:]) // of itself and the payload
	const largest = 1 << 30                    // Postgres takes no more either
	if size < lengthSize || size > largest {
		return nil, fmt.Errorf("a frame of %d bytes", size)
	}
	payload := make([]byte, size-lengthSize)
	_, err := io.ReadFull(from, payload)
	return payload, err
}

// writeTo writes the frame alone, so that a cut behind it leaves it whole.
func (f Frame) writeTo(to io.Writer) error {
	wire := make([]byte, 0, 1+lengthSize+len(f.Payload))
	if f.Type != Startup {
		wire = append(wire, f.Type)
	}
	wire = binary.BigEndian.AppendUint32(wire, uint32(lengthSize+len(f.Payload)))
	_, err := to.Write(append(wire, f.Payload...))
	return err
}
