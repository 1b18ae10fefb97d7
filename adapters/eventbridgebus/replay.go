package eventbridgebus

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/eventbridge"
	"github.com/aws/aws-sdk-go-v2/service/eventbridge/types"
)

// ReplayAPI is what a [Replay] calls; *eventbridge.Client has it.
type ReplayAPI interface {
	StartReplay(ctx context.Context, in *eventbridge.StartReplayInput, options ...func(*eventbridge.Options)) (*eventbridge.StartReplayOutput, error)
	DescribeReplay(ctx context.Context, in *eventbridge.DescribeReplayInput, options ...func(*eventbridge.Options)) (*eventbridge.DescribeReplayOutput, error)
}

// Replay brings what an archive has into an inbox: into a new one after a loss, or into the one there is, to
// close its gaps. What the inbox has already is dropped, so a replay may be repeated, and live events may come
// meanwhile by a queue of their own. Afterwards read models are rebuilt from the inbox as from any log,
// blue/green: give the projection a new version.
//
// The archive has what came within its retention and matched its pattern, and gets it some minutes late.
type Replay struct {
	// Client calls AWS. Required.
	Client ReplayAPI
	// Name names the replay, 1 to 64 letters, digits, dots, dashes and underscores. Run with the name of one
	// that was started goes on with it; if that was one of other events, or to another rule, Run fails. Required.
	Name string
	// Archive, Bus and Rule are ARNs: what to replay, the bus that it was archived from, and the only rule that
	// shall see it, with [ReplayPattern] and the queue of Consumer as target. Required.
	Archive, Bus, Rule string
	// From and To say which events: those of whose time, in the publisher's store, From is at or before, and To
	// after. To must be 10 minutes ago at least: what is newer may not be in the archive yet. From is required.
	// Default of To: 10 minutes ago, or that of the replay that was started.
	From, To time.Time
	// Consumer takes the events from the queue; its Handle is that of Inbox, if it has none. Required.
	Consumer Consumer
	// Inbox is where they go, with Replays set. Required.
	Inbox Inbox
	// Poll is how often to ask how far it is. Default: 5 s.
	Poll time.Duration
	// OnProgress is called after each time. Default: nobody is told.
	OnProgress func(ReplayProgress)
}

// ReplayProgress tells how far a replay is: it comes from From to To, by the time of events, and not in order.
type ReplayProgress struct {
	State          string // AWS's word, such as RUNNING or COMPLETED
	From, At, To   time.Time
	ShareDelivered float64 // of the time between From and To, 0 to 1
}

// ArchiveDelay is how long it may take until an archive has an event, as AWS says.
const ArchiveDelay = 10 * time.Minute

const defaultPoll = 5 * time.Second

// Run starts the replay, and returns when the archive has delivered everything and the inbox has it. A
// [GapError] says that it has, and that streams of it are not whole all the same.
func (r Replay) Run(ctx context.Context) error {
	r, err := r.ready()
	if err != nil {
		return err
	}
	if err := r.start(ctx); err != nil {
		return fmt.Errorf("replay %s: %w", r.Name, err)
	}
	consuming, stop := context.WithCancel(ctx)
	consumed := make(chan error, 1)
	go func() { consumed <- r.Consumer.Run(consuming) }()
	err = r.await(ctx)
	stop()
	if err = errors.Join(err, <-consumed); err != nil {
		return fmt.Errorf("replay %s: %w", r.Name, err)
	}
	if err := r.Consumer.Drain(ctx); err != nil {
		return fmt.Errorf("replay %s: take what it has delivered: %w", r.Name, err)
	}
	return r.verify(ctx)
}

// ready returns the replay with its defaults.
func (r Replay) ready() (Replay, error) {
	if r.Client == nil || r.Name == "" || r.Archive == "" || r.Bus == "" || r.Rule == "" || r.From.IsZero() || r.Inbox.Store == nil {
		return r, errors.New("eventbridgebus.Replay: Client, Name, Archive, Bus, Rule, From, Consumer and Inbox are required")
	}
	if !r.Inbox.Replays {
		return r, errors.New("eventbridgebus.Replay: the inbox drops replayed events; set its Replays, unless a saga or a relay reads it")
	}
	latest := latestTo()
	if to := r.toOr(latest); to.After(latest) || !r.From.Before(to) {
		return r, fmt.Errorf("eventbridgebus.Replay: From is %s and To %s; want From before To, and To not after %s, for what is newer may not be in the archive yet",
			r.From.Format(time.RFC3339), to.Format(time.RFC3339), latest.Format(time.RFC3339))
	}
	if r.Consumer.Handle == nil {
		r.Consumer.Handle = r.Inbox.Handle
	}
	return r, r.Consumer.check()
}

// latestTo is the newest To: what is newer may not be in the archive yet.
func latestTo() time.Time { return time.Now().Add(-ArchiveDelay).UTC().Truncate(time.Second) }

func (r Replay) toOr(latest time.Time) time.Time {
	if r.To.IsZero() {
		return latest
	}
	return r.To
}

// start starts it, or finds that it was started.
func (r Replay) start(ctx context.Context) error {
	to := r.toOr(latestTo())
	_, err := r.Client.StartReplay(ctx, &eventbridge.StartReplayInput{
		ReplayName: &r.Name, EventSourceArn: &r.Archive, EventStartTime: &r.From, EventEndTime: &to,
		Destination: &types.ReplayDestination{Arn: &r.Bus, FilterArns: []string{r.Rule}},
	})
	if _, there := errors.AsType[*types.ResourceAlreadyExistsException](err); !there {
		return err
	}
	was, err := r.Client.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &r.Name})
	if err != nil {
		return err
	}
	switch {
	case text(was.EventSourceArn) != r.Archive || was.Destination == nil || text(was.Destination.Arn) != r.Bus:
		return fmt.Errorf("there is a replay of that name, of %s; choose another name", text(was.EventSourceArn))
	case !slices.Equal(was.Destination.FilterArns, []string{r.Rule}):
		return fmt.Errorf("there is a replay of that name, to the rules %v; choose another name", was.Destination.FilterArns)
	case isOther(was.EventStartTime, r.From):
		return fmt.Errorf("there is a replay of that name, from %s on; choose another name", was.EventStartTime.UTC().Format(time.RFC3339))
	case !r.To.IsZero() && isOther(was.EventEndTime, r.To):
		return fmt.Errorf("there is a replay of that name, up to %s; choose another name", was.EventEndTime.UTC().Format(time.RFC3339))
	}
	return nil
}

// isOther compares a time with one of AWS's, which has seconds.
func isOther(was *time.Time, want time.Time) bool { return was != nil && was.Unix() != want.Unix() }

// await waits until the archive has delivered everything.
func (r Replay) await(ctx context.Context) error {
	for {
		out, err := r.Client.DescribeReplay(ctx, &eventbridge.DescribeReplayInput{ReplayName: &r.Name})
		if err != nil {
			return err
		}
		r.report(out)
		switch out.State {
		case types.ReplayStateCompleted:
			return nil
		case types.ReplayStateFailed, types.ReplayStateCancelled, types.ReplayStateCancelling:
			return fmt.Errorf("it is %s: %s; start one with another name, what was delivered does no harm", out.State, text(out.StateReason))
		}
		sleep(ctx, cmp.Or(r.Poll, defaultPoll))
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

func (r Replay) report(out *eventbridge.DescribeReplayOutput) {
	if r.OnProgress == nil {
		return
	}
	p := ReplayProgress{State: string(out.State), From: r.From, To: r.To}
	if out.EventStartTime != nil && out.EventEndTime != nil { // of one that was started before, perhaps
		p.From, p.To = *out.EventStartTime, *out.EventEndTime
	}
	switch {
	case out.State == types.ReplayStateCompleted:
		p.At, p.ShareDelivered = p.To, 1
	case out.EventLastReplayedTime != nil && p.From.Before(p.To):
		p.At = *out.EventLastReplayedTime
		p.ShareDelivered = min(max(float64(p.At.Sub(p.From))/float64(p.To.Sub(p.From)), 0), 1)
	default:
		p.At = p.From
	}
	r.OnProgress(p)
}

// verify makes sure that the streams are whole.
func (r Replay) verify(ctx context.Context) error {
	gaps, err := r.Inbox.Gaps(ctx)
	if err != nil {
		return fmt.Errorf("replay %s: %w", r.Name, err)
	}
	if len(gaps) > 0 {
		return fmt.Errorf("replay %s: %w", r.Name, &GapError{gaps})
	}
	return nil
}
