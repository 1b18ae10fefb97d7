package retail_test

import (
	"errors"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/eventstore"
	"github.com/leftfold/leftfold/examples/shop/data"
	"github.com/leftfold/leftfold/examples/shop/retail"
)

const good = "1,A,x,2,01/12/2010 08:26,2.50,7,France"

func read(t *testing.T, text string) (rows []retail.Placed, reader *retail.Reader) {
	t.Helper()
	reader, err := retail.NewReader(strings.NewReader(text))
	require.NoError(t, err)
	for row, err := range reader.Rows() {
		require.NoError(t, err)
		rows = append(rows, row)
	}
	return rows, reader
}

func TestFilesAsTillsWriteThem(t *testing.T) {
	for name, c := range map[string]struct {
		text  string
		lines []int  // on which rows start
		last  string // what is wrong with the last row
	}{
		"nothing at all":               {"", nil, ""},
		"nothing but a mark":           {"\uFEFF", nil, ""},
		"nothing but empty lines":      {"\uFEFF\r\n\n", nil, ""},
		"a header only":                {retail.Header + "\n", nil, ""},
		"a header without its newline": {retail.Header, nil, ""},
		"a byte-order mark":            {"\uFEFF" + retail.Header + "\n" + good + "\n", []int{2}, ""},
		"Windows line ends":            {retail.Header + "\r\n" + good + "\r\n" + good + "\r\n", []int{2, 3}, ""},
		"no newline at the end":        {retail.Header + "\n" + good, []int{2}, ""},
		"empty lines":                  {retail.Header + "\n\n" + good + "\n\n", []int{3}, ""},
		"a short last line":            {retail.Header + "\n" + good + "\n1,A,x", []int{2, 3}, "it has 3 fields, want 8"},
		"commas and quotes, quoted":    {retail.Header + "\n" + `1,A,"HEART, ""RED""",2,01/12/2010 08:26,2.50,7,France`, []int{2}, ""},
		"a quote inside a field":       {retail.Header + "\n" + `1,A,12" RULER,2,01/12/2010 08:26,2.50,7,France` + "\n" + good, []int{2, 3}, ""},
		"a line break in quotes":       {retail.Header + "\n1,A,\"two\nlines\",2,01/12/2010 08:26,2.50,7,France\n" + good, []int{2, 4}, ""},
		"bytes that are not UTF-8":     {retail.Header + "\n1,A,caf\xe9,2,01/12/2010 08:26,2.50,7,France", []int{2}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			rows, reader := read(t, c.text)
			var lines []int
			for _, row := range rows {
				lines = append(lines, row.Line)
			}
			assert.Equal(t, c.lines, lines)
			assert.Empty(t, reader.Broken())
			if len(rows) > 0 {
				assert.Equal(t, c.last, rows[len(rows)-1].Malformed)
			}
		})
	}
}

func TestAQuoteThatIsNeverClosedCostsOneRow(t *testing.T) {
	text := retail.Header + "\n" + good + "\n" + `1,A,"x,2,01/12/2010 08:26,2.50,7,France` + "\n" + strings.Repeat(good+"\n", 30)
	rows, reader := read(t, text)
	require.Len(t, rows, 32)
	assert.Equal(t, "its quotes do not match", rows[1].Malformed)
	assert.Equal(t, "1", rows[1].InvoiceNo)
	require.Len(t, reader.Broken(), 1)
	assert.Equal(t, 3, reader.Broken()[0].Line)
	for n, row := range rows {
		assert.Equal(t, n+2, row.Line)
	}
}

func TestAFileThatIsNoExportIsRefused(t *testing.T) {
	for _, text := range []string{"hello\n", "a,b,c\n1,2,3\n", "\x00\x01\x02", good + "\n", `"` + "\n"} {
		_, err := retail.NewReader(strings.NewReader(text))
		require.ErrorIs(t, err, retail.ErrHeader)
		assert.ErrorContains(t, err, retail.Header, "it says what the header should be")
	}
}

// endless is a file like /dev/zero.
type endless struct{}

func (endless) Read(into []byte) (int, error) { clear(into); return len(into), nil }

func TestAFileThatNeverEndsItsFirstLineIsRefused(t *testing.T) {
	_, err := retail.NewReader(endless{})
	assert.ErrorIs(t, err, retail.ErrHeader)
}

func TestALineOfAnyLengthIsOneRow(t *testing.T) {
	long := "1,A," + strings.Repeat("x", 1<<20) + ",2,01/12/2010 08:26,2.50,7,France"
	rows, _ := read(t, strings.Join([]string{retail.Header, good, long, good}, "\n"))
	require.Len(t, rows, 3)
	assert.NotEmpty(t, rows[1].Malformed)
	assert.Equal(t, "1", rows[1].InvoiceNo)
	assert.Less(t, len(rows[1].Text), 1000)
	assert.Empty(t, rows[2].Malformed)
	assert.Equal(t, 4, rows[2].Line)
}

func TestAnErrorOfTheDiskComesOut(t *testing.T) {
	broken := errors.New("disk on fire")
	other := strings.Replace(good, "1,A", "2,A", 1)
	reader, err := retail.NewReader(io.MultiReader(strings.NewReader(retail.Header+"\n"+good+"\n"+other+"\n"), iotest.ErrReader(broken)))
	require.NoError(t, err)
	var last error
	var invoices []string
	for group, err := range reader.Groups() {
		if last = err; err == nil {
			invoices = append(invoices, group.InvoiceNo)
		}
	}
	assert.Equal(t, []string{"1"}, invoices, "what was read before comes first, but not the invoice that may go on")
	assert.ErrorIs(t, last, broken)
}

func TestAnErrorThatTheDiskTellsOnlyOnceIsNotOverlooked(t *testing.T) {
	open := `1,A,"x,2,01/12/2010 08:26,2.50,7,France` // the reader looks for its quote when the error comes
	reader, err := retail.NewReader(io.MultiReader(
		strings.NewReader(retail.Header+"\n"+strings.Repeat(good+"\n", 30)+open+"\n"+good[:10]), iotest.TimeoutReader(iotest.OneByteReader(strings.NewReader("x"+good[10:])))))
	require.NoError(t, err)
	var last error
	for _, err := range reader.Rows() {
		last = err
	}
	assert.ErrorIs(t, last, iotest.ErrTimeout)
}

func TestEveryGroupFitsIntoOneAppend(t *testing.T) {
	row := strings.Replace(good, "x", strings.Repeat("<", 8000), 1)
	reader, err := retail.NewReader(strings.NewReader(retail.Header + strings.Repeat("\n"+row, 2500)))
	require.NoError(t, err)
	rows := 0
	for group, err := range reader.Groups() {
		require.NoError(t, err)
		inJSON := 0
		for _, row := range group.Rows {
			inJSON += len(row.Description) * len(`\u003c`)
		}
		assert.Less(t, inJSON, eventstore.MaxAppendBytes)
		rows += len(group.Rows)
	}
	assert.Equal(t, 2500, rows)
}

func TestPricesAreExact(t *testing.T) {
	for text, want := range map[string]retail.Price{
		"2.55": {255, 1}, "0": {0, 0}, "0.00": {0, 0}, "-0": {0, 0}, "1.005": {101, 1}, "1.0049": {100, 1},
		"0.005": {1, 1}, "0.004": {0, 1}, "-0.005": {-1, -1}, "-0.004": {0, -1}, "-11062.06": {-1106206, -1},
		".5": {50, 1}, "5.": {500, 1}, "+3": {300, 1}, "607.49": {60749, 1}, "0.295": {30, 1},
	} {
		price, err := retail.ParsePrice(text)
		require.NoError(t, err, text)
		assert.Equal(t, want, price, text)
	}
	for _, text := range []string{"", ".", "-", "1e3", "1,5", "£2", "NaN", "Inf", "0x10", "1.2.3", "99999999999", "--1", " 1"} {
		_, err := retail.ParsePrice(text)
		assert.Error(t, err, text)
	}
}

func TestGroupIDs(t *testing.T) {
	ids := func(text string) (ids []string) {
		reader, err := retail.NewReader(strings.NewReader(text))
		require.NoError(t, err)
		for group, err := range reader.Groups() {
			require.NoError(t, err)
			ids = append(ids, group.ID)
		}
		return ids
	}
	other := strings.Replace(good, "1,A", "2,A", 1)
	file := strings.Join([]string{retail.Header, good, good, other, good, good, other, good}, "\n")
	got := ids(file)
	require.Len(t, got, 5)
	unique := map[string]bool{}
	for _, id := range got {
		unique[id] = true
	}
	assert.Len(t, unique, 5, "identical groups in one file are different commands")
	assert.Equal(t, got, ids(strings.ReplaceAll(file, "\n", "\r\n")), "the same rows with other line ends are the same commands")
	assert.Equal(t, got[0], ids(strings.Join([]string{retail.Header, good, good}, "\n"))[0], "whatever comes after")
}

func TestTheBundledFileIsWhole(t *testing.T) {
	reader, err := retail.NewReader(data.Open())
	require.NoError(t, err)
	rows, groups := 0, 0
	for group, err := range reader.Groups() {
		require.NoError(t, err)
		groups++
		rows += len(group.Rows)
	}
	assert.Equal(t, 26_732, rows)
	assert.Equal(t, 1_230, groups)
	assert.Empty(t, reader.Broken())
}

func FuzzReader(f *testing.F) {
	f.Add(retail.Header + "\n" + good + "\n")
	f.Add(retail.Header + "\n\"\n\"\",\r\n,,,,,,,\n1,A,\"x")
	f.Fuzz(func(t *testing.T, text string) {
		reader, err := retail.NewReader(strings.NewReader(text))
		if err != nil {
			return
		}
		lines, rows, last := strings.Count(text, "\n")+1, 0, 0
		for row, err := range reader.Rows() {
			require.NoError(t, err)
			require.Greater(t, row.Line, last, "rows come in the order of the file")
			last = row.Line
			rows++
			kind, reason := row.Kind()
			require.Equal(t, kind == retail.Rejected, reason != "")
		}
		require.Less(t, rows, lines+1)
	})
}
