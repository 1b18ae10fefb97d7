package saga

// Point is a place at which a worker may die. All of them are here, for tests that kill it there.
type Point string

// The points, in the order in which a command passes them.
const (
	BeforeTelling    Point = "before an instance is told something"
	AfterTelling     Point = "after the append, before the checkpoint"
	BeforeCheckpoint Point = "before the checkpoint of a window"
	AfterCheckpoint  Point = "after the checkpoint of a window"
	BeforeDispatch   Point = "before a command is dispatched"
	AfterDispatch    Point = "after a command was dispatched, before its result is recorded"
	BeforeFiring     Point = "before a timer is fired"
	AfterFiring      Point = "after a timer was fired"
)

// Points are all points.
var Points = []Point{
	BeforeTelling, AfterTelling, BeforeCheckpoint, AfterCheckpoint, BeforeDispatch, AfterDispatch, BeforeFiring, AfterFiring,
}
