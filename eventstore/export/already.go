package export

import (
	"bytes"
	"fmt"
	"iter"

	"github.com/leftfold/leftfold/eventstore"
)

// compare holds the file against a store that takes no import, refused says why: an earlier run may have ended, and been
// killed before it could tell. Then the store has the file's id, events and commands, and more if it has gone on.
func (i *importing) compare(announced Summary, refused error) error {
	end := eventstore.Position(announced.Events)
	read, err := i.store.ReadLog(i.ctx, eventstore.LogQuery{Through: end})
	if err != nil {
		return &storeError{err}
	}
	if read.Identity.Store != announced.Store || read.Through.Position < end {
		return &storeError{refused}
	}
	through := read.Through
	if end == 0 { // it read the whole log
		through = eventstore.Anchor{}
	}
	i.there = end
	i.next, i.end = iter.Pull2(read.Events())
	i.already = &remembered{refused: refused}
	i.already.next, i.already.end = iter.Pull2(i.store.ReadCommands(i.ctx, through))
	return nil
}

// remembered are the commands of a store, in the order of their ids.
type remembered struct {
	refused error
	next    func() (eventstore.RememberedCommand, error, bool)
	end     func()
}

// has passes by the commands up to one, which must be there.
func (r *remembered) has(c eventstore.RememberedCommand) error {
	for {
		there, err, ok := r.next()
		switch {
		case err != nil:
			return &storeError{err}
		case ok && bytes.Compare(there.ID[:], c.ID[:]) < 0:
			continue
		case !ok || !there.Equal(c):
			return &storeError{fmt.Errorf("%w, and does not remember command %s as the file does", r.refused, c.ID)}
		}
		return nil
	}
}
