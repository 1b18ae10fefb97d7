package postgres

import (
	"fmt"

	"github.com/leftfold/leftfold/eventstore"
)

// Each page of a read may come from another server: an address may lead to several, a
// connection may be replaced after a failover, a proxy may spread transactions. One of them
// may lag: the read ends at 9, its last page comes from a standby that has replayed 6, no row
// says that 7 to 9 are missing, and a checkpoint at 9 passes them by.
//
// So every page brings along the event at the end of the read, from its own snapshot. A page
// that the statement filled needs no proof, as the log of a server that lags is a prefix:
// such a page is the same everywhere. One that is short because nothing follows does. Asked
// before or after, in a snapshot of its own, the end would prove nothing: a standby goes on
// replaying in between.

// proof is what a page's server has at the end of the read.
type proof struct {
	id  eventstore.EventID
	has bool
}

// take keeps the id of the event at the end of the read.
func (p *proof) take(id []byte) {
	copy(p.id[:], id)
	p.has = true
}

// check holds the proof against the end of the read. Last says that the page claims to reach it.
func (p *proof) check(through eventstore.Anchor, last bool) error {
	switch {
	case p.has && p.id != through.EventID:
		return fmt.Errorf("%w: event %s stood at position %d when the read began, it is %s now", eventstore.ErrDiverged, through.EventID, through.Position, p.id)
	case !p.has && last:
		return fmt.Errorf("%w: it has no event at position %d yet", errBehind, through.Position)
	default:
		return nil
	}
}

// errBehind is an [ErrUnavailable]: the server will have caught up, or another one answers.
var errBehind = fmt.Errorf("%w: this server is behind the one where the read began; try again, or read from one server", ErrUnavailable)
