//go:build !(darwin || dragonfly || freebsd || linux || netbsd || openbsd)

package screen

import (
	"errors"
	"os"
)

func readKeys(*os.File) (<-chan rune, func(), error) { return nil, nil, errors.ErrUnsupported }
