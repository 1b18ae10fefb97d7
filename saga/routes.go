package saga

import (
	"context"
	"fmt"
	"strings"
)

// Routes dispatches each command to the dispatcher of its name, such as "account.withdraw"; if there
// is none, to that of what stands before the first dot, such as "account". A command that has neither
// is tried again: a deploy may bring its route, and until then it is not compensated for a typo.
type Routes map[string]Dispatcher

// Dispatch implements [Dispatcher].
func (r Routes) Dispatch(ctx context.Context, c Command) error {
	category, _, _ := strings.Cut(c.Name, ".")
	for _, name := range []string{c.Name, category} {
		if to := r[name]; to != nil {
			return to.Dispatch(ctx, c)
		}
	}
	return fmt.Errorf("dispatch %s: it has no route: add %q or %q to saga.Routes", c.Name, c.Name, category)
}
