package httpapi

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

// DispatchOption says what holds for a command besides its fields.
type DispatchOption func(header http.Header)

// IfMatch refuses the command with [eventstore.ErrVersionConflict] unless the first aggregate
// that its handler decides on is at the version. Default: any version.
func IfMatch(v eventstore.Version) DispatchOption {
	return func(header http.Header) { header.Set("If-Match", etag(v)) }
}

// Dispatch sends the command to the handler of the name in another service and returns its receipt.
// The command is any value whose JSON, as encoding/json writes it, is what [Commands] takes there.
//
// The key is its Idempotency-Key: under it the command takes effect once, whatever is repeated or
// lost, and each repeat gets the first receipt. It is required, of 1 to [MaxKeyBytes] bytes of
// printable ASCII; who repeats a command must give the same one.
//
// Errors: [command.ErrInvalidCommand] for what cannot be sent; else a [*RemoteError]. That the
// answer is lost, the end of ctx included, is [eventstore.ErrOutcomeUnknown]: send it again with
// the same key to find out.
func (c *Client) Dispatch(ctx context.Context, name string, cmd any, key string, options ...DispatchOption) (eventstore.Receipt, error) {
	var none eventstore.Receipt
	sending := call{c, "dispatch " + name, name}
	body, err := json.Marshal(cmd)
	if err != nil {
		return none, fmt.Errorf("%s: %w: %w", sending.what, command.ErrInvalidCommand, err)
	}
	if key == "" || len(key) > MaxKeyBytes || !isPrintable(key) {
		return none, fmt.Errorf("%s: %w: the key %.300q: want 1 to %d bytes of printable ASCII", sending.what, command.ErrInvalidCommand, key, MaxKeyBytes)
	}
	r, err := sending.newRequest(ctx, http.MethodPost, commandsPath, nil, body)
	if err != nil {
		return none, err
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set(HeaderKey, quoted(key))
	for _, option := range options {
		option(r.Header)
	}
	got, err := sending.send(r)
	switch {
	case err != nil:
		return none, sending.unheard(got, err)
	case got.status != http.StatusOK:
		return none, sending.undone(got)
	}
	receipt, err := got.receipt()
	if err != nil {
		return none, sending.unheard(got, err)
	}
	return receipt, nil
}

// quoted is a string of RFC 9651 (3.3.3).
func quoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(text) + `"`
}

// receipt reads the answer to a command.
func (r received) receipt() (eventstore.Receipt, error) {
	var told Receipt
	if err := r.decodeInto(&told); err != nil {
		return eventstore.Receipt{}, err
	}
	if told.Versions == nil { // {} of something between here and there
		return eventstore.Receipt{}, &uselessError{errors.New("the answer is no receipt; is Client.URL that of the service?")}
	}
	receipt := eventstore.Receipt{Versions: told.Versions, Repeated: told.Repeated}
	if told.Position == "" {
		return receipt, nil
	}
	token, err := eventstore.ParseToken(told.Position)
	receipt.Token = token
	return receipt, err
}

// unheard is the error of a command whose answer did not come. Unless it was never sent, it may
// have taken effect.
func (c call) unheard(r received, err error) error {
	e := c.lost(r, err)
	if e.Retryable = true; r.connected || !isUnsent(err) {
		e.Err = fmt.Errorf("%w: %w", eventstore.ErrOutcomeUnknown, err)
	}
	return e
}

// undone is the error of a command that was answered with something else than a receipt. What no
// one can tell, such as the answer of something between here and there, is an unknown outcome.
func (c call) undone(r received) error {
	e := c.failed(r)
	if e.Problem != nil {
		if known, ok := commandMeanings[e.Problem.Type]; ok {
			e.Err, e.Retryable = known.err, known.retryable
			return e
		}
		if e.Err = errors.Join(e.Err, detailed(e.Problem)); e.Err != nil {
			return e
		}
	}
	if r.status/100 != 4 && e.Err == nil {
		e.Err = eventstore.ErrOutcomeUnknown
	}
	return e
}
