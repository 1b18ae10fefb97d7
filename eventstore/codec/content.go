package codec

// ContentTyper is an optional power of a [Format] that says what its payloads are.
type ContentTyper interface {
	// ContentType returns a media type, such as application/json.
	ContentType() string
}

func (encodingJSON) ContentType() string { return "application/json" }

func contentType(f Format) string {
	if typed, ok := f.(ContentTyper); ok {
		return typed.ContentType()
	}
	return "application/octet-stream"
}
