package plot

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// drawn returns the SVG, which must be well-formed.
func drawn(t *testing.T, f Figure) string {
	t.Helper()
	var svg bytes.Buffer
	f.Write(&svg)
	text := svg.String()
	for decoder := xml.NewDecoder(&svg); ; {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return text
		}
		require.NoError(t, err, text)
	}
}

func TestAFigureIsWellFormedWhateverItHolds(t *testing.T) {
	drawn(t, Figure{})
	svg := drawn(t, Figure{
		Title: "a < b & c",
		Charts: [2]Bars{{
			Title: "Appends", Groups: []string{"1", "8"},
			Series: []Series{{Name: "ours", Values: []float64{52_300, 0}}, {Name: "<theirs>", Values: []float64{1000, 2000}}, {Name: "short"}},
		}, {Series: []Series{{Name: "ours"}}, Groups: []string{"nothing measured"}}},
		Tables: [2]Table{{Title: "Losses", Header: []string{"", "missed"}, Rows: []Row{{Cells: []string{"goes", "12"}, Bad: true}, {Cells: []string{"ours", "0"}}}}},
	})
	assert.Contains(t, svg, "a &lt; b &amp; c")
	assert.Contains(t, svg, ">52.3k<")
	assert.Equal(t, 3, strings.Count(svg, "</title></rect>"), "a bar for each value above 0")
	assert.Contains(t, svg, `class="bad"`)
	assert.NotContains(t, svg, "NaN")
	assert.NotContains(t, svg, "Inf")
}

func TestTheAxisHoldsEveryValueAndGrowsUpwards(t *testing.T) {
	axis := newScale([]Series{{Values: []float64{793, 0, 19_226}}}, 100, 400)
	assert.InDelta(t, 400, axis.y(100), 0.01)
	assert.InDelta(t, 100, axis.y(100_000), 0.01)
	assert.InDelta(t, 300, axis.y(1000), 0.01)
	assert.InDelta(t, 400, axis.y(1), 0.01, "never below the axis")

	flat := newScale([]Series{{Values: []float64{1000}}}, 100, 400)
	assert.Less(t, flat.low, flat.high)
}

func TestNumbersAreShort(t *testing.T) {
	for value, want := range map[float64]string{0: "0", 7: "7", 7.25: "7.2", 793: "793", 1000: "1k", 52_345: "52.3k", 304_000: "304k", 1_111_000: "1.1M"} {
		assert.Equal(t, want, Short(value))
	}
}
