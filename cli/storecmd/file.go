package storecmd

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// zstdEnding is that of the names of files that are compressed.
const zstdEnding = ".zst"

// writeFile writes a file with write, and puts it in its place when it is whole and on disk; "-" is
// standard output. A file that is there is not replaced.
func writeFile(name string, stdout io.Writer, write func(io.Writer) error) (err error) {
	if name == "-" {
		return write(stdout)
	}
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("there is a file %s already; choose another name, or remove it", name)
	}
	partial := name + ".partial" // one that was left behind is begun again
	file, err := os.Create(partial)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, file.Close(), os.Remove(partial))
		}
	}()
	if err := compressed(name, file, write); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	if err := os.Link(partial, name); err != nil { // unlike a rename it replaces nothing
		return err
	}
	return errors.Join(file.Close(), os.Remove(partial), syncDirectory(filepath.Dir(name)))
}

func compressed(name string, file io.Writer, write func(io.Writer) error) error {
	if !strings.HasSuffix(name, zstdEnding) {
		return write(file)
	}
	packed, err := zstd.NewWriter(file)
	if err != nil {
		return err
	}
	return errors.Join(write(packed), packed.Close())
}

func syncDirectory(name string) error {
	directory, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(directory.Sync(), directory.Close())
}

// readFile hands what is in a file to read; "-" is standard input, which is compressed if it looks so.
func readFile(name string, stdin io.Reader, read func(io.Reader) error) (err error) {
	in := stdin
	if name != "-" {
		file, err := os.Open(name)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it was only read
		in = file
	}
	buffered := bufio.NewReaderSize(in, 1<<20)
	if magic, _ := buffered.Peek(4); string(magic) != "\x28\xb5\x2f\xfd" { // RFC 8878, section 3.1.1
		return read(buffered)
	}
	unpacked, err := zstd.NewReader(buffered)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	return read(unpacked)
}
