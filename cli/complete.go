package cli

import (
	"context"
	"slices"
	"time"

	"github.com/spf13/cobra"
)

// completePatience is for how long a shell that completes a name may wait for a store.
const completePatience = 2 * time.Second

// completes completes the first argument of a verb by the names that list finds. A store that does not answer, or
// that is not named yet, has no names.
func completes(cmd *cobra.Command, list func(ctx context.Context) (names []string, err error)) *cobra.Command {
	cmd.ValidArgsFunction = func(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
		if len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx := cmd.Context()
		if ctx == nil {
			ctx = context.Background()
		}
		ctx, cancel := context.WithTimeout(ctx, completePatience)
		defer cancel()
		found, err := list(ctx)
		if err != nil {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		slices.Sort(found)
		return slices.Compact(found), cobra.ShellCompDirectiveNoFileComp
	}
	return cmd
}

// names are those of the models that a look finds.
func (l look) names(ctx context.Context) (names []string, err error) {
	err = l(ctx, func(all []model) error {
		for _, m := range all {
			names = append(names, m.Name)
		}
		return nil
	})
	return names, err
}

// names are those of the sagas that a look finds.
func (l lookAtSagas) names(ctx context.Context) (names []string, err error) {
	err = l(ctx, func(all []story) error {
		for _, s := range all {
			names = append(names, s.saga.Name())
		}
		return nil
	})
	return names, err
}

// completesPhase completes the flag --phase.
func completesPhase(cmd *cobra.Command) {
	_ = cmd.RegisterFlagCompletionFunc("phase", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) { // the flag is there
		var names []string
		for _, phase := range phases {
			names = append(names, string(phase))
		}
		return names, cobra.ShellCompDirectiveNoFileComp
	})
}
