package saga

// reaction marks a saga that has no steps of its own: an event brings its commands along.
type reaction struct{}
