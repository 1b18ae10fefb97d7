package storecmd

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/leftfold/leftfold/cli"
	"github.com/leftfold/leftfold/cli/stores"
	"github.com/leftfold/leftfold/eventstore"
)

// appending is one run of the verb.
type appending struct {
	store  string
	form   cli.Output
	expect string
	id     string
	wait   time.Duration
	given  given
}

const appendHelp = `Appends events to the end of a stream, all of them or none, and prints the receipt.

THIS GOES PAST THE RULES OF THE PROGRAM: no decision is made, no code of yours sees the events before they are
in the log, and nothing takes them out again. Read models and sagas react to them as to any other. To correct what
a program has done, send it a command; this is for tests, for repairs, and for logs without a program.

With --type it is one event, with the payload of --data. Without, it reads events from standard input, an object a
line, and appends them together:

  {"type": "order.placed", "data": {"total": 17}, "tags": ["customer:17"], "metadata": {"actor": "ada"}, "schema_version": 1}

Only type is required. Payloads are JSON. Metadata that is not given says that the command was leftfold append, and has
the id for leftfold trace.

An append is made once under its --id, whatever it is: the same command line again prints the first receipt, and
other events under it are refused. Ids are those of this verb, no program's. Without --id a new one is made, and
printed.`

func appendCommand() *cobra.Command {
	a := &appending{}
	cmd := &cobra.Command{
		Use:   "append STREAM",
		Short: "Append events to a stream, past the program's rules",
		Long:  appendHelp,
		Example: `  leftfold append order-42 --store sqlite:shop.db --type order.noted --data '{"note": "call back"}' --expect exact:3
  leftfold append order-42 --store sqlite:shop.db --type order.noted --data @note.json --tag customer:17 --id repair-7
  leftfold append order-43 --store sqlite:shop.db --expect empty < events.jsonl`,
		Args: cli.OneArgument("the name of one stream, such as order-42"),
		RunE: func(cmd *cobra.Command, args []string) error { return a.run(cmd, eventstore.StreamID(args[0])) },
	}
	stores.Flag(cmd, &a.store)
	a.given.flags(cmd)
	cmd.Flags().StringVar(&a.expect, "expect", "any", "refuse if the stream is not at this version: any, empty or exact:N")
	cmd.Flags().StringVar(&a.id, "id", "", "name of this append: it is made once under it; a new one if there is none")
	cmd.Flags().DurationVar(&a.wait, "wait", 30*time.Second, "how long the store may take")
	cli.OutputFlag(cmd, &a.form, cli.Table, cli.JSON)
	return cmd
}

func (a *appending) run(cmd *cobra.Command, stream eventstore.StreamID) error {
	request, err := a.request(cmd, stream)
	if err != nil {
		return cli.Misused(cmd, err)
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), a.wait)
	defer cancel()
	return withStore(ctx, a.store, func(store stores.Store) error {
		receipt, err := store.Append(ctx, request)
		if err != nil {
			return a.refused(stream, err)
		}
		return a.print(cmd, stream, receipt, len(request.Writes[0].Events))
	})
}

func (a *appending) request(cmd *cobra.Command, stream eventstore.StreamID) (eventstore.AppendRequest, error) {
	none := eventstore.AppendRequest{}
	if err := stream.Validate(); err != nil {
		return none, err
	}
	expected, err := expectation(a.expect)
	if err != nil {
		return none, err
	}
	if a.wait <= 0 {
		return none, errors.New("--wait must be positive")
	}
	events, err := a.given.events(cmd)
	if err != nil {
		return none, err
	}
	if a.id == "" {
		a.id = eventstore.NewEventID().String()
	}
	for n := range events {
		if events[n].Metadata == nil {
			events[n].Metadata = eventstore.Metadata{eventstore.MetadataCommand: "leftfold append", eventstore.MetadataCorrelationID: a.id}.Encode()
		}
	}
	request := eventstore.AppendRequest{
		Command: eventstore.Command{ID: eventstore.NewCommandID("leftfold append", a.id), Hash: hashOf(stream, events)},
		Writes:  []eventstore.Write{{Stream: stream, Expected: expected, Events: events}},
	}
	_, err = request.Prepare(eventstore.Limits{EventBytes: eventstore.MaxAppendBytes}) // the store has its own
	return request, err
}

// hashOf is that of what is appended. What is expected is no part of it: it may be another one when the same is tried again.
func hashOf(stream eventstore.StreamID, events []eventstore.EventData) eventstore.CommandHash {
	var text strings.Builder
	for _, e := range events {
		fmt.Fprintf(&text, "%q %d %q %q %q\n", e.Type, e.SchemaVersion, e.Tags, e.Data, e.Metadata)
	}
	return eventstore.HashCommand("leftfold append "+string(stream), []byte(text.String()))
}

// expectation reads --expect.
func expectation(text string) (eventstore.ExpectedVersion, error) {
	number, exact := strings.CutPrefix(text, "exact:")
	v, err := strconv.ParseInt(number, 10, 64)
	switch {
	case text == "any":
		return eventstore.Any, nil
	case text == "empty":
		return eventstore.NoStream, nil
	case exact && err == nil && v > 0:
		return eventstore.Exactly(eventstore.Version(v)), nil
	}
	return eventstore.Any, fmt.Errorf("--expect %q: want any, empty or exact:N, with the version of the stream's newest event", text)
}

// refused says what to do.
func (a *appending) refused(stream eventstore.StreamID, err error) error {
	var conflict *eventstore.VersionConflictError
	switch {
	case errors.As(err, &conflict):
		at := fmt.Sprintf("--expect exact:%d", conflict.Actual)
		if conflict.Actual == 0 {
			at = "--expect empty"
		}
		return fmt.Errorf("nothing was appended: %w; see leftfold stream show %s, and if the events are still right say %s", err, stream, at)
	case errors.Is(err, eventstore.ErrIdempotencyMismatch):
		return fmt.Errorf("nothing was appended: other events were, under --id %s; these need another id", a.id)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("nothing was appended: the store did not come to it within %v (--wait)", a.wait)
	case errors.Is(err, eventstore.ErrOutcomeUnknown):
		return fmt.Errorf("%w; the same command line with --id %s finds out, and appends what is not there", err, a.id)
	}
	return fmt.Errorf("nothing was appended: %w", err)
}

// appended is the JSON form of a receipt.
type appended struct {
	Stream   eventstore.StreamID `json:"stream"`
	Version  eventstore.Version  `json:"version"`
	Position eventstore.Position `json:"position"`
	Token    string              `json:"token"`
	ID       string              `json:"id"`
	Repeated bool                `json:"repeated"`
}

func (a *appending) print(cmd *cobra.Command, stream eventstore.StreamID, r eventstore.Receipt, events int) error {
	out := cmd.OutOrStdout()
	if a.form == cli.JSON {
		return cli.PrintJSON(out, appended{stream, r.Versions[stream], r.Token.Position, r.Token.String(), a.id, r.Repeated})
	}
	did := "Appended"
	if r.Repeated {
		did = "Nothing to do: an earlier call with this id has appended"
	}
	_, err := fmt.Fprintf(out, "%s %s to %s, up to version %s, position %s\nid %s, token %s\n",
		did, plural(events, "event"), cli.Printable(string(stream)), cli.Thousands(r.Versions[stream]), cli.Thousands(r.Token.Position), cli.Printable(a.id), r.Token)
	return err
}
