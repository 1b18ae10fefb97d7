package kinesisstore

import (
	"fmt"
	"strings"
)

// locate reads what the name of a segment says, see [segment.name].
func locate(name, folder string) (shard string, at located, err error) {
	shard, file, _ := strings.Cut(strings.TrimPrefix(name, folder), "/")
	text, isJSON := strings.CutSuffix(file, ".json")
	text, ended := strings.CutSuffix(text, "-end")
	from, to, whole := strings.Cut(text, "-")
	if !isJSON || !whole || !isNumber(from) || !isNumber(to) {
		return "", located{}, fmt.Errorf("%w: %s is no segment; it must not be there", ErrArchive, name)
	}
	return shard, located{name: name, from: noneOr(from), to: noneOr(to), ended: ended}, nil
}

func isNumber(text string) bool { return text != "" && strings.Trim(text, "0123456789") == "" }

func noneOr(text string) string {
	if text == "0" {
		return ""
	}
	return text
}
