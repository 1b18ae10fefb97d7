package catalog_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/leftfold/leftfold/catalog"
	"github.com/leftfold/leftfold/command"
)

// Mermaid's own parser reads the golden files: make mermaid.
func TestTheEventModelOfAShop(t *testing.T) {
	text, err := shop().Mermaid()
	require.NoError(t, err)
	golden(t, "shop.mmd", text)
}

func TestNamesThatMermaidWouldMisreadAreUnderscored(t *testing.T) {
	var c catalog.Catalog
	for _, name := range []string{"", "9lives", "ui", "data", "title", "titles.print", "accTitle", "then", "größe/ändern", "_", "a b{}\n", "evt.evt", "$x"} {
		c.Commands = append(c.Commands, command.Registration{Name: name})
	}
	text, err := c.Mermaid()
	require.NoError(t, err)
	golden(t, "names.mmd", text)
}

func TestAnEventModelHas999PartsAtMost(t *testing.T) {
	var c catalog.Catalog
	for n := range 1000 {
		c.Commands = append(c.Commands, command.Registration{Name: fmt.Sprint("c", n)})
	}
	_, err := c.Mermaid()
	require.EqualError(t, err, "Mermaid: an event model has 999 parts at most, the catalog has 1000: divide it")
	c.Commands = c.Commands[1:]
	text, err := c.Mermaid()
	require.NoError(t, err)
	assert.Contains(t, string(text), "rf 999 cmd c999\n")
}
