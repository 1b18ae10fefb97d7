package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"

	"github.com/leftfold/leftfold/examples/shop/data"
)

// Run twice: everything has happened already. The program itself takes all the rows;
// here it is the first thousand.
func Example_import() {
	dir, err := os.MkdirTemp("", "shop")
	check(err)
	defer os.RemoveAll(dir)
	bundled, err := io.ReadAll(data.Open())
	check(err)
	lines := bytes.SplitAfterN(bundled, []byte("\n"), 1002)
	for range 2 {
		orders := bytes.NewReader(bytes.Join(lines[:1001], nil))
		check(importInto(context.Background(), filepath.Join(dir, "shop.db"), orders))
	}
	// Output:
	// 1000 rows: 991 accepted, 9 rejected, 1000 events appended
	// 61 orders from 4 countries, £24,705.38; £25.50 returned
	// 1. customer 16029, United Kingdom: £3,702.12
	// 2. customer 16210, United Kingdom: £2,474.74
	// 3. customer 17511, United Kingdom: £1,825.74
	// 1000 rows: 991 accepted, 9 rejected, 0 events appended
	// 61 orders from 4 countries, £24,705.38; £25.50 returned
	// 1. customer 16029, United Kingdom: £3,702.12
	// 2. customer 16210, United Kingdom: £2,474.74
	// 3. customer 17511, United Kingdom: £1,825.74
}

func check(err error) {
	if err != nil {
		panic(err)
	}
}
