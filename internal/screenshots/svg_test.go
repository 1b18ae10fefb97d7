package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAPictureHasTheTextInItsPlaceAndItsColours(t *testing.T) {
	t.Parallel()
	svg := picture("a <title>", "one  \x1b[1m\x1b[31m<&\"'>\x1b[0m two\n\n  \x1b[2mthree four\x1b[39m\x1b[0m  \n\n", 80)
	decoder := xml.NewDecoder(strings.NewReader(svg))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		require.NoError(t, err, "it is XML")
	}
	assert.Contains(t, svg, "<title>a &lt;title&gt;</title>")
	assert.Contains(t, svg, `<text x="12.0" y="26" textLength="25.2">one</text>`)
	assert.Contains(t, svg, `<text x="54.0" y="26" textLength="42.0" class="b r">&lt;&amp;&#34;&#39;&gt;</text>`)
	assert.Contains(t, svg, `<text x="104.4" y="26" textLength="25.2">two</text>`)
	assert.Contains(t, svg, `<text x="28.8" y="62" textLength="84.0" class="d">three four</text>`)
	assert.Contains(t, svg, `viewBox="0 0 696 78"`, "80 columns and three lines; the empty ones below are left out")
}
