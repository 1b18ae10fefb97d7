package cli

import "io"

// printAll prints results for programs: as one object with a list under a name, or an object a line.
func printAll[T any](out io.Writer, output Output, name string, all []T) error {
	if output == JSON {
		if all == nil {
			all = []T{}
		}
		return PrintJSON(out, map[string][]T{name: all})
	}
	lines := NewEncoder(out)
	for _, one := range all {
		if err := lines.Encode(one); err != nil {
			return err
		}
	}
	return nil
}
