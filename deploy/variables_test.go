package deploy_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// example is the program that serverless.yaml is for.
const example = "../examples/lambda"

// byPgx are the variables that pgxpool.ParseConfig("") reads and the template may set: examples/lambda has a test of it.
var byPgx = []string{"PGHOST", "PGPORT", "PGDATABASE", "PGSSLMODE", "PGSSLROOTCERT"}

// notByTemplate are those that the example reads and the template has no need to set.
var notByTemplate = []string{
	"AWS_REGION", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_LAMBDA_RUNTIME_API", // Lambda sets them
	"DATABASE", "LISTEN", // where there is no Lambda
}

// variables: what the template gives the functions is what the example reads, no more and no less.
func variables(t testing.TB, tmpl template, say sayf) {
	t.Helper()
	reads, words := readsOf(t, example)
	for _, f := range tmpl.every("AWS::Lambda::Function") {
		set, _ := f.property("Environment", "Variables").(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(set)) {
			if !reads[name] && !slices.Contains(byPgx, name) {
				say("%s: the example does not read %s", f.name, name)
			}
		}
		for name := range reads {
			if set[name] == nil && !slices.Contains(notByTemplate, name) {
				say("%s: the example reads %s", f.name, name)
			}
		}
		if function, _ := set["FUNCTION"].(string); set["FUNCTION"] != nil && !words[function] {
			say("%s: the example is none of %s", f.name, function)
		}
	}
}

// readsOf returns the variables that a program's sources read, and the words that they compare things with.
func readsOf(t testing.TB, dir string) (reads, words map[string]bool) {
	t.Helper()
	reads, words = map[string]bool{}, map[string]bool{}
	paths, err := filepath.Glob(filepath.Join(dir, "*.go"))
	require.NoError(t, err)
	for _, path := range paths {
		if strings.HasSuffix(path, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CallExpr:
				if f, ok := n.Fun.(*ast.SelectorExpr); ok && f.Sel.Name == "Getenv" {
					if name := literal(n.Args[0]); name != "" {
						reads[name] = true
					}
				}
			case *ast.BinaryExpr:
				words[literal(n.Y)] = true
			}
			return true
		})
	}
	require.NotEmpty(t, reads)
	delete(words, "")
	return reads, words
}

func literal(e ast.Expr) string {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return ""
	}
	text, _ := strconv.Unquote(l.Value)
	return text
}

func TestTheExampleOfFunctionsIsWhereTheTemplatesSay(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), "./examples/lambda")
	reads, words := readsOf(t, example)
	require.True(t, reads["FUNCTION"] && reads["PGHOST"] && reads["DATABASE_SECRET_ARN"], "the sources are read as they are written")
	require.True(t, words["api"] && words["projector"])
}
