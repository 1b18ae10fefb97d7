package httpapi

import (
	"encoding/json"
	"net/http"
	"reflect"

	"github.com/leftfold/leftfold/command"
	"github.com/leftfold/leftfold/eventstore"
)

const commandsPath = "/commands/"

// Commands serves the commands of the bus: POST /commands/{name} with the command as JSON.
// Mount it at /commands/, or below a prefix with [http.StripPrefix]. Register every handler
// before; it panics on a type that JSON cannot be read into.
//
// The body must be exactly one value of the registered type, in the form of encoding/json:
// an unknown field, a name in another case, a field given twice, null where no null is, a
// number that does not fit, bad UTF-8, or anything after it is a 400 that names the
// field. A field that is left out has its zero value; Validate of the command may refuse
// that ([command.Validate]).
//
// The answer is 200 with the receipt:
//
//	{"position": "<token>", "versions": {"order-42": 1}, "repeated": false}
//
// and the token as header Leftfold-Position, for Leftfold-After of a query. If the command
// appended to one stream, ETag is its version, for If-Match.
//
// With an Idempotency-Key ([HeaderKey]) the command takes effect once and every repeat gets
// the first receipt, with "repeated"; repeats that come at once wait for it. The same
// key with another command is a 422. Without a key a repeat takes effect again.
//
// With If-Match, one version such as "7", the command is refused with 412 unless the
// first aggregate that its handler decides on is at that version ([command.Expect]); a repeat
// under its key is not. If-None-Match is a 400.
func Commands(bus *command.Bus, options Options) http.Handler {
	types := map[string]reflect.Type{}
	for _, r := range bus.Commands() {
		if options.serves(r.Name) {
			checkDecodable(r.GoType)
			types[r.Name] = r.GoType
		}
	}
	checkNames(options, types)
	options = options.withDefaults()
	return options.handler(commands{options, bus, types}.serve)
}

type commands struct {
	Options
	bus   *command.Bus
	types map[string]reflect.Type
}

func (c commands) serve(w http.ResponseWriter, r *http.Request) error {
	principal, err := c.principal(r)
	if err != nil {
		return err
	}
	name, goType, err := named(r.URL.Path, commandsPath, "command", c.types, c.Options)
	if err != nil {
		return err
	}
	if err := allowed(r, http.MethodPost); err != nil {
		return err
	}
	if r.URL.RawQuery != "" {
		return malformed("a command has no parameters; its fields are those of the body")
	}
	sent, err := c.envelope(r.Header)
	if err != nil {
		return err
	}
	body, err := readBody(w, r, c.BodyBytes)
	if err != nil {
		return err
	}
	cmd, err := decode(body, goType)
	if err != nil {
		return err
	}
	if err := c.authorize(r.Context(), Request{principal, name, cmd}); err != nil {
		return err
	}
	receipt, err := c.bus.Dispatch(r.Context(), cmd, append(sent.options(principal), command.Sent(body))...)
	if err != nil {
		return c.commandProblem(err, sent)
	}
	return answer(w, receipt)
}

// envelope is what a request says about its command in headers.
type envelope struct {
	key      string
	expected *eventstore.Version
}

func (c commands) envelope(header http.Header) (e envelope, err error) {
	if e.key, err = key(header); err != nil {
		return e, err
	}
	if e.key == "" && c.RequireKey {
		return e, &Problem{Type: TypeKeyRequired, Status: http.StatusBadRequest, Detail: "send an Idempotency-Key, so that the command can be repeated when its answer is lost"}
	}
	e.expected, err = expected(header)
	return e, err
}

func (e envelope) options(principal string) []command.DispatchOption {
	options := []command.DispatchOption{command.Principal(principal), command.ID(e.key)}
	if e.expected != nil {
		options = append(options, command.Expect(*e.expected))
	}
	return options
}

// Receipt is the answer to a command.
type Receipt struct {
	// Position is the token, empty if the handler gave none.
	Position string `json:"position,omitempty"`
	// Versions are those of the streams after the command.
	Versions map[eventstore.StreamID]eventstore.Version `json:"versions"`
	// Repeated is set when the command had taken effect before.
	Repeated bool `json:"repeated"`
}

func answer(w http.ResponseWriter, receipt eventstore.Receipt) error {
	told := Receipt{Versions: receipt.Versions, Repeated: receipt.Repeated}
	if told.Versions == nil {
		told.Versions = map[eventstore.StreamID]eventstore.Version{}
	}
	if !receipt.Token.IsZero() {
		told.Position = receipt.Token.String()
		w.Header().Set(HeaderPosition, told.Position)
	}
	if len(receipt.Versions) == 1 {
		for _, v := range receipt.Versions {
			w.Header().Set("ETag", etag(v))
		}
	}
	body, err := json.Marshal(told)
	if err != nil {
		return err
	}
	send(w, http.StatusOK, "application/json", body)
	return nil
}
