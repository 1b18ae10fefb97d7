package catalog

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/leftfold/leftfold/internal/jsonschema"
)

// The parts of an AsyncAPI document that are used, in the order in which people read them.
type (
	asyncDocument struct {
		AsyncAPI           string                 `json:"asyncapi"`
		Info               asyncInfo              `json:"info"`
		DefaultContentType string                 `json:"defaultContentType"`
		Channels           object[asyncChannel]   `json:"channels"`
		Operations         object[asyncOperation] `json:"operations"`
		Components         asyncComponents        `json:"components"`
	}
	asyncInfo struct {
		Title   string `json:"title"`
		Version string `json:"version"`
	}
	asyncChannel struct {
		Address     *string                `json:"address"` // null: it is not addressed by name
		Title       string                 `json:"title"`
		Description string                 `json:"description"`
		Parameters  object[asyncParameter] `json:"parameters,omitempty"`
		Messages    object[ref]            `json:"messages"`
	}
	asyncParameter struct {
		Description string `json:"description"`
	}
	asyncOperation struct {
		Action   string `json:"action"`
		Title    string `json:"title"`
		Channel  ref    `json:"channel"`
		Messages []ref  `json:"messages"`
	}
	asyncComponents struct {
		Messages object[asyncMessage]   `json:"messages"`
		Schemas  *jsonschema.Properties `json:"schemas"`
	}
	asyncMessage struct {
		Name          string             `json:"name"`
		Title         string             `json:"title"`
		Description   string             `json:"description,omitempty"`
		ContentType   string             `json:"contentType"`
		SchemaVersion int                `json:"x-schema-version"`
		Payload       *jsonschema.Schema `json:"payload,omitempty"`
	}

	// object is written in the order of its names.
	object[V any] map[string]V

	ref struct {
		Ref string `json:"$ref"`
	}
)

// refTo returns a reference to a part of the same document. Keys hold nothing that a JSON pointer
// would have to escape.
func refTo(path ...string) ref { return ref{"#/" + strings.Join(path, "/")} }

// keys are names as keys of a document may be, each name with its own key for good.
type keys map[string]string

var noKey = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

func (k keys) of(name string) string {
	if key, known := k[name]; known {
		return key
	}
	key := noKey.ReplaceAllString(name, "_")
	for n := 2; k.taken(key); n++ {
		key = fmt.Sprintf("%s_%d", noKey.ReplaceAllString(name, "_"), n)
	}
	k[name] = key
	return key
}

func (k keys) taken(key string) bool {
	for _, other := range k {
		if other == key {
			return true
		}
	}
	return false
}
