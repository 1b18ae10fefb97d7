package testservers

// The rule for ports, for its test.
var (
	OnFreePort  = onFreePort
	PortIsTaken = portIsTaken
)
