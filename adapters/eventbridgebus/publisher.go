package eventbridgebus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
	"github.com/aws/smithy-go"

	"github.com/leftfold/leftfold/eventstore/subscription"
	"github.com/leftfold/leftfold/relay"
)

// PutEventsAPI is what a [Publisher] calls; *eventbridge.Client has it.
type PutEventsAPI interface {
	PutEvents(ctx context.Context, in *eventbridge.PutEventsInput, options ...func(*eventbridge.Options)) (*eventbridge.PutEventsOutput, error)
}

// Publisher is the [relay.Publisher] of an event bus. Of a request only the entries that failed are sent
// again; a request has one message of each key, so that none overtakes another. A message that the bus
// finds malformed, or that is too large for it, becomes a dead letter of the relay; a missing
// permission does not: that is put right for all of them.
type Publisher struct {
	// Client calls AWS. What it tries again by itself may repeat messages. Required.
	Client PutEventsAPI
	// Bus is the bus's name or ARN. Required.
	Bus string
	// Source is who publishes, as rules see it, such as "shop.orders"; not "aws." something. Required.
	Source string
	// MaxRequestBytes is the most that a request, and so a message, may have, as [Entry.Size] counts: with its
	// envelope, and a third more than its data where those are JSON with needless spaces, or no JSON.
	// Some regions take 256 KB only. Default: 1,000,000.
	MaxRequestBytes int
}

const (
	maxEntries             = 10
	maxTypeLength          = 128 // characters of DetailType
	defaultMaxRequestBytes = 1_000_000
)

var _ relay.Publisher = Publisher{}

// Limits implements [relay.Publisher].
func (p Publisher) Limits() relay.Limits {
	most := cmp.Or(p.MaxRequestBytes, defaultMaxRequestBytes)
	return relay.Limits{Messages: maxEntries, Bytes: most, MessageBytes: most, OnePerKey: true}
}

// Size implements [relay.Publisher].
func (p Publisher) Size(m relay.Message) int {
	entry, err := NewEntry(p.Source, m)
	if err != nil {
		return 0 // Publish says what is wrong with it
	}
	return entry.Size()
}

// Publish implements [relay.Publisher].
func (p Publisher) Publish(ctx context.Context, messages []relay.Message) ([]error, error) {
	if p.Client == nil || p.Bus == "" || p.Source == "" {
		return nil, fmt.Errorf("%w: eventbridgebus.Publisher: Client, Bus and Source are required", subscription.ErrPermanent)
	}
	results, in, sent := make([]error, len(messages)), &eventbridge.PutEventsInput{}, []int{}
	for n, m := range messages {
		entry, err := p.entry(m)
		if err != nil {
			results[n] = err
			continue
		}
		in.Entries, sent = append(in.Entries, entry.classic(p.Bus)), append(sent, n)
	}
	if len(sent) == 0 {
		return results, nil
	}
	out, err := p.Client.PutEvents(ctx, in)
	switch {
	case err != nil:
		return nil, ofRequest(p.Bus, err)
	case len(out.Entries) != len(sent):
		return nil, fmt.Errorf("put events to %s: %d results for %d entries", p.Bus, len(out.Entries), len(sent))
	}
	for at, n := range sent {
		results[n] = ofEntry(out.Entries[at])
	}
	return results, nil
}

// entry returns what goes to the bus, or why nothing does.
func (p Publisher) entry(m relay.Message) (Entry, error) {
	entry, err := NewEntry(p.Source, m)
	if err != nil {
		return entry, fmt.Errorf("%w: %w", relay.ErrRefused, err)
	}
	if n := utf8.RuneCountInString(m.Type); n < 1 || n > maxTypeLength {
		return entry, fmt.Errorf("%w: its type has %d characters, the bus takes 1 to %d; have Translate give it a shorter one", relay.ErrRefused, n, maxTypeLength)
	}
	if most := p.Limits().MessageBytes; entry.Size() > most {
		return entry, fmt.Errorf("%w: %d bytes, the bus takes %d; keep the large part elsewhere and have Translate publish where it is (a claim check)",
			relay.ErrRefused, entry.Size(), most)
	}
	return entry, nil
}

// ofRequest returns the error of a whole request as a relay wants it.
func ofRequest(bus string, err error) error {
	if coded, ok := errors.AsType[smithy.APIError](err); ok && isThrottling(coded.ErrorCode()) {
		return fmt.Errorf("put events to %s: %w: %w", bus, relay.ErrThrottled, err)
	}
	return fmt.Errorf("put events to %s: %w", bus, err)
}

// ofEntry returns the result of one entry as a relay wants it. Its codes are in the documentation of
// PutEventsResultEntry. Those that concern the caller's rights are no fault of the message.
func ofEntry(entry types.PutEventsResultEntry) error {
	if entry.ErrorCode == nil {
		return nil
	}
	code, message := *entry.ErrorCode, ""
	if entry.ErrorMessage != nil {
		message = *entry.ErrorMessage
	}
	failed := fmt.Errorf("%s: %s", code, message)
	switch {
	case code == "InvalidArgument", code == "MalformedDetail":
		return fmt.Errorf("%w: %w", relay.ErrRefused, failed)
	case isThrottling(code):
		return fmt.Errorf("%w: %w", relay.ErrThrottled, failed)
	default:
		return failed
	}
}

func isThrottling(code string) bool {
	return code == "ThrottlingException" || code == "Throttling" || code == "RequestLimitExceeded"
}
