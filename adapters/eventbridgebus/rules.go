package eventbridgebus

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// LivePattern is the event pattern of a rule that sees what a source publishes, and no replay.
func LivePattern(source string) string { return pattern(source, false) }

// ReplayPattern is the event pattern of a rule that sees what is replayed of a source, and nothing live.
func ReplayPattern(source string) string { return pattern(source, true) }

func pattern(source string, replayed bool) string {
	text, _ := json.Marshal(map[string]any{ //nolint:errchkjson // strings and a bool: it cannot fail
		"source":      []string{source},
		"replay-name": []any{map[string]bool{"exists": replayed}},
	})
	return string(text)
}

// ArchiveAPI is what [CreateArchive] calls; *eventbridge.Client has it.
type ArchiveAPI interface {
	CreateArchive(ctx context.Context, in *eventbridge.CreateArchiveInput, options ...func(*eventbridge.Options)) (*eventbridge.CreateArchiveOutput, error)
}

// CreateArchive makes an archive of what a source publishes on a bus, kept for ever; one of that name that is
// there is left as it is. It has what comes from now on, so make it before the relay begins. The name has at most 48
// letters, digits, dots, dashes and underscores; bus is the ARN.
func CreateArchive(ctx context.Context, client ArchiveAPI, name, bus, source string) error {
	text, _ := json.Marshal(map[string]any{"source": []string{source}}) //nolint:errchkjson // it cannot fail
	of := string(text)
	_, err := client.CreateArchive(ctx, &eventbridge.CreateArchiveInput{ArchiveName: &name, EventSourceArn: &bus, EventPattern: &of})
	if _, there := errors.AsType[*types.ResourceAlreadyExistsException](err); there {
		return nil
	}
	if err != nil {
		return fmt.Errorf("create archive %s of %s: %w", name, bus, err)
	}
	return nil
}
