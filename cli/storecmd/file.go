package storecmd

import (
	"bufio"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// zstdMagic is what such a file begins with: RFC 8878, section 3.1.1.
const zstdMagic = "\x28\xb5\x2f\xfd"

// zstdEnding is that of the names of files that are compressed.
const zstdEnding = ".zst"

// writeFile writes a file with write, and puts it in its place when it is whole and on disk; "-" is
// standard output. A file that is there is not replaced. Until then it has a name of its own, FILE.….partial: another
// run may write one for the same place. A run that is killed leaves it behind.
func writeFile(name string, stdout io.Writer, write func(io.Writer) error) error {
	if name == "-" {
		return write(stdout)
	}
	if _, err := os.Lstat(name); err == nil {
		return thereIs(name)
	}
	partial := name + "." + rand.Text() + ".partial"
	file, err := os.OpenFile(partial, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666) // less the umask
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(partial) }() // another name of the file, or of no use
	err = compressed(name, file, write)
	if err == nil {
		err = file.Sync()
	}
	if closed := file.Close(); err == nil {
		err = closed
	}
	if err != nil {
		return err
	}
	err = os.Link(partial, name) // unlike a rename it replaces nothing
	if errors.Is(err, fs.ErrExist) {
		return thereIs(name)
	}
	if err != nil {
		return err
	}
	return syncDirectory(filepath.Dir(name))
}

func thereIs(name string) error {
	return fmt.Errorf("there is a file %s already; choose another name, or remove it", name)
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
	if magic, _ := buffered.Peek(4); string(magic) != zstdMagic {
		return read(buffered)
	}
	unpacked, err := zstd.NewReader(buffered)
	if err != nil {
		return err
	}
	defer unpacked.Close()
	return read(unpacked)
}
