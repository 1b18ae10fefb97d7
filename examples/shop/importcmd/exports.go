package importcmd

import (
	"context"
	"fmt"
	"io"
	"os"

	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

// exports are the files to import, open and with their headers checked: a typo in the
// last name is found before the first file is imported.
type exports []*export

type export struct {
	name   string
	size   int64 // 0 if it is not known
	read   *counter
	reader *retail.Reader
	close  func() error
}

func (e exports) close() {
	for _, export := range e {
		_ = export.close() // it was only read
	}
}

func openExports(ctx context.Context, files []string) (opened exports, err error) {
	if len(files) == 0 {
		bundled := data.Open()
		e, err := newExport("the bundled orders", bundled, int64(bundled.Len()), func() error { return nil })
		return exports{e}, err
	}
	for _, name := range files {
		e, err := openFile(ctx, name)
		if err != nil {
			opened.close()
			return nil, err
		}
		opened = append(opened, e)
	}
	return opened, nil
}

func openFile(ctx context.Context, name string) (*export, error) {
	file, err := os.Open(name)
	if err != nil {
		return nil, fmt.Errorf("cannot read the orders: %w; give --data the path of a CSV file", err)
	}
	// A pipe may stay silent for ever, and only closing it ends a read that waits.
	unwatch := context.AfterFunc(ctx, func() { _ = file.Close() })
	info, err := file.Stat()
	if err == nil && info.IsDir() {
		err = fmt.Errorf("%s is a directory; give --data the path of a CSV file", name)
	}
	var e *export
	if err == nil {
		e, err = newExport(name, file, info.Size(), func() error { unwatch(); return file.Close() })
	}
	if err != nil {
		_ = file.Close() // the first error tells more
		return nil, err
	}
	return e, nil
}

func newExport(name string, from io.Reader, size int64, closeIt func() error) (*export, error) {
	read := &counter{from: from}
	reader, err := retail.NewReader(read)
	if err != nil {
		return nil, fmt.Errorf("%s: %w; export it again, or give another file with --data", name, err)
	}
	return &export{name: name, size: size, read: read, reader: reader, close: closeIt}, nil
}

// counter counts the bytes that were read.
type counter struct {
	from io.Reader
	n    int64
}

func (c *counter) Read(into []byte) (int, error) {
	n, err := c.from.Read(into)
	c.n += int64(n)
	return n, err
}
