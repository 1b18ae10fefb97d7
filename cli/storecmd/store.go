package storecmd

import (
	"context"
	"errors"

	"github.com/leftfold/leftfold/cli/stores"
)

// withStore opens the store at a URL, and closes it when do has ended.
func withStore(ctx context.Context, at string, do func(store stores.Store) error) (err error) {
	store, err := stores.Open(ctx, at)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, store.Close(context.WithoutCancel(ctx))) }()
	return do(store)
}
