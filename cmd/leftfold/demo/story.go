package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/leftfold/leftfold/cmd/leftfold/demo/show"
	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/eventstore/codec"
	"github.com/leftfold/leftfold/examples/shop/services/api"
	"github.com/leftfold/leftfold/examples/shop/services/books"
)

// story is what happened to an order that was cancelled, in the services, by their own logs.
type story struct {
	order    string
	happened []happened
}

type happened struct {
	at   time.Time
	what string
}

// storyOf reads what happened to an order.
func storyOf(ctx context.Context, all books.Services, order string) (story, error) {
	s := story{order: order}
	for service, category := range map[string]string{"order": "order", "inventory": "reservation", "payment": "payment", "shipping": "shipment"} {
		for m, err := range all[service].Store.ReadStream(ctx, eventstore.StreamID(category+"-"+order), eventstore.StreamRange{}) {
			if err != nil {
				return s, fmt.Errorf("read what happened to order %s: %w", order, err)
			}
			if !slices.ContainsFunc(all[service].Service.Events.Types(), func(t codec.EventType) bool { return t.Name == m.Type }) {
				continue // the service was only told of it
			}
			decoded, err := api.Events.Decode(m)
			if err != nil {
				return s, err
			}
			if what := inWords(decoded[0]); what != "" {
				s.happened = append(s.happened, happened{m.RecordedAt, what})
			}
		}
	}
	slices.SortStableFunc(s.happened, func(a, b happened) int { return a.at.Compare(b.at) })
	return s, nil
}

func inWords(event any) string {
	switch e := event.(type) {
	case api.Placed:
		return fmt.Sprintf("order placed: £%.2f", float64(api.Order(e).Pence())/100)
	case api.Reserved:
		return "stock reserved"
	case api.StockRefused:
		return "stock REFUSED: " + e.Reason
	case api.Released:
		return "stock released"
	case api.Taken:
		return "payment taken"
	case api.Declined:
		return "payment DECLINED: " + e.Reason
	case api.Refunded:
		return "payment refunded"
	case api.ShipmentRefused:
		return "shipment REFUSED: " + e.Reason
	case api.Cancelled:
		return "order cancelled"
	}
	return ""
}

// steps are what happened, without the reasons.
func (s story) steps() (all []string) {
	for _, h := range s.happened {
		what, _, _ := strings.Cut(h.what, ":")
		all = append(all, what)
	}
	return all
}

// line is the story in one line.
func (s story) line() string {
	return fmt.Sprintf("order %s: %s, in %.2f s", s.order, strings.Join(s.steps(), " → "), s.took().Seconds())
}

func (s story) took() time.Duration {
	if len(s.happened) == 0 {
		return 0
	}
	return s.happened[len(s.happened)-1].at.Sub(s.happened[0].at)
}

// lines are the story, an event in each.
func (s story) lines() []show.Line {
	if len(s.happened) == 0 {
		return nil
	}
	all := []show.Line{{Text: fmt.Sprintf("order %s was compensated", s.order)}}
	for _, h := range s.happened {
		line := show.Line{Text: fmt.Sprintf("%s  +%.2f s  %s", h.at.Format(time.TimeOnly), h.at.Sub(s.happened[0].at).Seconds(), h.what)}
		if strings.Contains(h.what, "DECLINED") || strings.Contains(h.what, "REFUSED") {
			line.Mark = show.Bad
		}
		all = append(all, line)
	}
	return all
}
