package books

import (
	"fmt"

	"github.com/leftfold/leftfold/examples/shop/services/api"
)

// life is what became of an order: how often each thing has happened to it, with pence and units.
type life struct {
	placed, accepted, fulfilled, cancelled int
	reserved, released, taken, refunded    int
	sent, refused                          int

	pence, took, gave      int64
	units, picked, putBack int64
}

// happens counts what has neither pence nor units.
func (l *life) happens(event any) {
	switch event.(type) {
	case api.Accepted:
		l.accepted++
	case api.Reserved:
		l.reserved++
	case api.Released:
		l.released++
	case api.StockRefused, api.Declined, api.ShipmentRefused:
		l.refused++
	case api.Sent:
		l.sent++
	}
}

// open reports whether somebody still has something to do for it: it has not ended, or was
// cancelled and something of it is still kept.
func (l *life) open() bool {
	ended := l.fulfilled+l.cancelled > 0
	return !ended || l.cancelled > 0 && (l.reserved != l.released || l.taken != l.refunded)
}

// check says what is wrong with it.
func (l *life) check(id string) error {
	for _, times := range []int{l.placed, l.accepted, l.fulfilled + l.cancelled, l.reserved, l.released, l.taken, l.refunded, l.sent, l.refused} {
		if times > 1 {
			return fmt.Errorf("order %s: something happened to it twice: %+v", id, *l)
		}
	}
	whole := l.placed == 1 && l.reserved == 1 && l.taken == 1 && l.sent == 1 && l.released+l.refunded+l.refused == 0
	exact := l.took == l.pence && l.gave == 0 && l.picked == l.units && l.putBack == 0
	switch {
	case l.placed == 0:
		return fmt.Errorf("order %s: nobody has placed it: %+v", id, *l)
	case l.fulfilled == 1 && !(whole && exact):
		return fmt.Errorf("order %s is fulfilled, and not as a whole: %+v", id, *l)
	case l.cancelled == 1 && (l.refused == 0 || l.sent > 0):
		return fmt.Errorf("order %s is cancelled, and nobody refused it, or it was sent: %+v", id, *l)
	case l.released > l.reserved || l.refunded > l.taken || l.gave > l.took || l.putBack > l.picked:
		return fmt.Errorf("order %s: more is given back than was taken: %+v", id, *l)
	case l.cancelled == 1 && !l.open() && (l.took != l.gave || l.picked != l.putBack):
		return fmt.Errorf("order %s is cancelled, and not all of it was given back: %+v", id, *l)
	}
	return nil
}
