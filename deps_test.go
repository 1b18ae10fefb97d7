package leftfold_test

import (
	"bufio"
	"bytes"
	"cmp"
	"fmt"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The architecture of Leftfold, as a table: which package may import which. Read it
// from the top: every package imports only what stands above it.
//
//	examples, cmd -> adapters/* -> projection, aggregate, command, query
//	              -> eventstore/{subscription, codec} -> eventstore -> standard library
//
// A line added here is a decision; write down why in docs/adr.
var importTable = []rule{
	// The core. No third-party package, so that a user of the port gets the port alone.
	{pkg: "."}, // the tour, no code
	{pkg: "eventstore"},
	{pkg: "checkup"}, // ADR 0036
	{pkg: "eventstore/codec", own: list("eventstore")},
	{pkg: "eventstore/schema", own: list("eventstore", "eventstore/codec")}, // ADR 0016
	{pkg: "eventstore/export", own: list("eventstore")},                     // ADR 0033
	{pkg: "eventstore/subscription", own: list("eventstore")},
	{pkg: "aggregate", own: list("eventstore", "eventstore/codec")},
	{pkg: "command", own: list("eventstore")},
	{pkg: "query", own: list("eventstore", "internal/moments")},
	{pkg: "projection", own: list("eventstore", "eventstore/codec", "eventstore/subscription", "query")},                        // query: ADR 0004
	{pkg: "relay", own: list("eventstore", "eventstore/subscription", "projection")},                                            // ADR 0026
	{pkg: "catalog", own: list("eventstore", "eventstore/codec", "command", "query", "projection", "internal/jsonschema")},      // ADR 0018
	{pkg: "saga", own: list("eventstore", "eventstore/codec", "eventstore/subscription", "aggregate", "command", "projection")}, // ADR 0025

	// Formats of payloads beside the default one, each with what it needs: who does not import
	// it does not link it (ADR 0009).
	{pkg: "eventstore/codec/jsonv2", own: list("eventstore/codec"), modules: list("github.com/go-json-experiment/json")},
	{pkg: "eventstore/codec/protobuf", own: list("eventstore/codec"), modules: list(protobuf)}, // ADR 0016
	{pkg: "eventstore/codec/protobuf/internal/orderpb", modules: list(protobuf)},               // generated, for tests

	// Test kits: what the package under test may import, the package itself, and testing.
	{pkg: "eventstore/eventstoretest", own: list("eventstore"), modules: list(porcupine)},
	{pkg: "eventstore/codec/codectest", own: list("eventstore", "eventstore/codec")},
	{pkg: "aggregate/aggregatetest", own: list("aggregate", "eventstore", "eventstore/codec"), modules: list(rapid)}, // ADR 0015
	{pkg: "projection/projectiontest", own: list("projection", "eventstore", "eventstore/codec", "eventstore/subscription", "query")},
	{pkg: "relay/relaytest", own: list("relay", "projection", "eventstore", "eventstore/subscription")},
	{pkg: "saga/sagatest", own: list("saga", "eventstore", "eventstore/codec")},
	{pkg: "adapters/postgres/postgrestest", own: list("adapters/postgres", "internal/testservers"), modules: list(pgx)},

	// Adapters: one technology each, any port, never another adapter.
	{pkg: "adapters/memory", own: core},
	{pkg: "adapters/sqlite", own: core, modules: list("modernc.org/sqlite")},
	{pkg: "adapters/postgres", own: core, modules: list(pgx)},
	{pkg: "adapters/redisstore", own: core, modules: list(goRedis)},                                                              // ADR 0011
	{pkg: "adapters/httpapi", own: core, modules: list("github.com/go-json-experiment/json")},                                    // ADR 0017; saga: 0025
	{pkg: "adapters/otelhooks", own: core, modules: list("go.opentelemetry.io/otel")},                                            // the API, which is metric and trace too: ADR 0020
	{pkg: "adapters/kinesisstore/consumer", modules: list(aws, smithy, pgx)},                                                     // ADR 0028, as the next; pgx: only its tests do
	{pkg: "adapters/lambdaapi", own: list("adapters/kinesisstore/consumer"), modules: list("github.com/aws/aws-lambda-go", aws)}, // ADR 0031
	{pkg: "adapters/discovery"}, // ADR 0023, as the next two
	{pkg: "adapters/discovery/cloudmap", own: list("adapters/discovery"), modules: list(aws)},
	{pkg: "adapters/discovery/lattice", modules: list(aws)},
	{pkg: "adapters/kinesisstore", own: append(list("adapters/kinesisstore/consumer"), core...), modules: list(aws, smithy, pgx)}, // ADR 0029; pgx: its tests
	{pkg: "adapters/kinesisstore/consumer/consumertest", own: list("adapters/kinesisstore/consumer")},
	{pkg: "adapters/kinesisstore/dynamoleases", own: list("adapters/kinesisstore/consumer"), modules: list(aws)}, // ADR 0027

	{pkg: "adapters/eventbridgebus", own: core, modules: list(aws, smithy)}, // ADR 0030

	// What puts the parts together.
	{pkg: "examples/...", own: everything, modules: list(pgx, aws, goRedis, "github.com/aws/aws-lambda-go", cobra)},                                                                         // to open a pool: ADR 0019; a client: ADR 0031; verbs: ADR 0033
	{pkg: "cli/screen", modules: list("golang.org/x/term", "golang.org/x/sys")},                                                                                                             // ADR 0039
	{pkg: "cli", own: append(list("adapters/httpapi", "cli/screen"), core...), modules: list(cobra, pretty, "golang.org/x/term", "github.com/guptarohit/asciigraph")},                       // ADR 0033, as the next two
	{pkg: "cli/stores", own: append(list("cli", "adapters/postgres", "adapters/sqlite", "adapters/kinesisstore", "adapters/redisstore"), core...), modules: list(cobra, pgx, aws, goRedis)}, // aws: ADR 0035; Redis: ADR 0036
	{pkg: "cli/storecmd", own: append(list("cli", "cli/stores", "eventstore/schema", "eventstore/export", "adapters/postgres", "adapters/sqlite", "adapters/redisstore"), core...), modules: list(cobra, pretty, pgx, aws, goRedis, "github.com/klauspost/compress")},
	{pkg: "examples/...", own: everything, modules: list(pgx, aws, goRedis, "github.com/aws/aws-lambda-go", cobra)},                                                                                                                                                   // to open a pool: ADR 0019; a client: ADR 0031; verbs: ADR 0033
	{pkg: "cli/screen", modules: list("golang.org/x/term", "golang.org/x/sys")},                                                                                                                                                                                       // ADR 0039
	{pkg: "cli", own: append(list("adapters/httpapi", "cli/screen"), core...), modules: list(cobra, pretty, "golang.org/x/term", "github.com/guptarohit/asciigraph")},                                                                                                 // ADR 0033, as the next two
	{pkg: "cli/stores", own: append(list("cli", "adapters/postgres", "adapters/sqlite", "adapters/kinesisstore", "adapters/redisstore"), core...), modules: list(cobra, pgx, aws, goRedis)},                                                                           // aws: ADR 0035; Redis: ADR 0036
	{pkg: "cli/storecmd", own: append(list("cli", "cli/stores", "eventstore/schema", "eventstore/export", "adapters/postgres", "adapters/sqlite", "adapters/redisstore"), core...), modules: list(cobra, pretty, pgx, aws, goRedis, "github.com/klauspost/compress")}, // aws: only its tests do
	{pkg: "cmd/...", own: everything, modules: list(cobra, "github.com/spf13/pflag", pretty, "golang.org/x/term", pgx, aws, goRedis)},
	{pkg: "cmd/...", own: everything, modules: list(cobra, "github.com/spf13/pflag", pretty, "golang.org/x/term", pgx, aws, goRedis)}, // pflag: what cobra's flags are, in tests
	{pkg: "docs"}, // its pages are run

	// Parts that several packages share, and our own tools.
	{pkg: "internal/wake"},
	{pkg: "internal/moments"},
	{pkg: "internal/groupcommit", own: list("eventstore")},
	{pkg: "internal/jsonschema"},
	{pkg: "internal/jsonschema/jsonschematest"},
	{pkg: "internal/leases", own: list("eventstore", "eventstore/subscription")},
	{pkg: "internal/screenshots"}, // of the programs, for docs
	{pkg: "internal/programtest"},
	{pkg: "internal/ptytest", modules: list("golang.org/x/sys")}, // ADR 0039
	{pkg: "internal/commandtest", own: list("aggregate", "command", "eventstore", "eventstore/codec")}, // ADR 0019
	{pkg: "internal/verify", own: list("internal/testservers", "internal/awstest/npm")},                // which of them the machine lacks

	// Real servers, and the faults between us and them. They are no test kits, so that
	// benchmarks use them too, and need a client only to ask whether a server is ready:
	// pgx, which adapters/postgres has anyway, and none for Redis. The proxy knows the
	// frames of Postgres's protocol by itself: a fault must not depend on the driver under
	// test. Nothing that a user imports in production may import them.
	{pkg: "internal/awstest/ebfake", modules: list(aws)}, // ADR 0030
	{pkg: "internal/testservers", modules: list(pgx)},
	{pkg: "internal/awstest/lambdaruntime"},       // ADR 0031
	{pkg: "internal/pgproxy", modules: list(pgx)}, // only its tests do

	// AWS for tests: emulators from npm, Kinesis in process, faults (ADR 0027). Only awstest itself
	// is a test kit.
	{pkg: "internal/awstest", own: list("internal/awstest/emulators", "internal/awstest/npm", "internal/testservers"), modules: list(aws)},
	{pkg: "internal/awstest/npm"},
	{pkg: "internal/awstest/fault", modules: list(aws, smithy)}, // only its tests do
	{pkg: "internal/awstest/emulators", own: list("internal/awstest/npm", "internal/testservers"), modules: list(aws, smithy)},
	{pkg: "internal/awstest/kinesisfake", own: list("internal/awstest/fault"), modules: list(aws, smithy)},
	// Pages, with tests that do what they say and no other code.
	{pkg: "docs"}, // ADR 0038
	// Templates and an image, with tests and no other code, and the health check of the image.
	{pkg: "deploy"}, // ADR 0032
	{pkg: "deploy/health"},

	// Tests that need two adapters at a time, and their clients. It has no other code.
	{pkg: "internal/torture", modules: list(pgx, aws, goRedis)}, // ADR 0021; aws: a stream
}

// Whatever the table says, these hold too:
//
//   - Only test kits (packages named <x>test) and _test.go files import testing or a test kit.
//   - Only _test.go files import a module of testOnly, and test kits whose line names it.
//   - Nobody imports "C": Leftfold builds without a C compiler.
//
// A _test.go file may import every package of ours, and testOnly.
var (
	core       = list("checkup", "eventstore", "eventstore/codec", "eventstore/subscription", "aggregate", "command", "query", "projection", "relay", "saga", "internal/wake", "internal/groupcommit", "internal/leases", "internal/jsonschema", "internal/moments")
	everything = list("...")
	testOnly   = list("github.com/stretchr/testify", rapid, "go.uber.org/goleak", "go.opentelemetry.io/otel/sdk", "github.com/santhosh-tekuri/jsonschema/v6", "golang.org/x/net/dns/dnsmessage", "go.yaml.in/yaml/v3")
)

const (
	module    = "github.com/leftfold/leftfold"
	porcupine = "github.com/anishathalye/porcupine"
	protobuf  = "google.golang.org/protobuf"
	rapid     = "pgregory.net/rapid"
	pgx       = "github.com/jackc/pgx/v5"
	goRedis   = "github.com/redis/go-redis/v9"
	aws       = "github.com/aws/aws-sdk-go-v2" // and its services
	smithy    = "github.com/aws/smithy-go"     // its errors
	cobra     = "github.com/spf13/cobra"
	pretty    = "github.com/jedib0t/go-pretty/v6"
	addToIt   = "add it to the table in deps_test.go with an ADR"
)

// rule says what the production files of a package may import, besides the standard library.
type rule struct {
	pkg     string   // relative to the module; "x/..." is x and everything below it
	own     []string // packages of this module, patterns as in pkg
	modules []string // third-party modules
}

func TestImportsFollowTheTable(t *testing.T) {
	t.Parallel()
	broken, err := violations(os.DirFS("."))
	require.NoError(t, err)
	for _, finding := range broken {
		t.Error(finding)
	}
}

// The checker above is only worth something if it fails on what it forbids.
func TestPlantedViolationsAreFound(t *testing.T) {
	t.Parallel()
	for _, plant := range []struct{ name, file, imports, finding string }{
		{"the core imports an adapter", "aggregate/x.go", module + "/adapters/memory", "may not import adapters/memory"},
		{"the port imports what stands on it", "eventstore/x.go", module + "/eventstore/codec", "may not import eventstore/codec"},
		{"a command handler reaches for a projection", "command/x.go", module + "/projection", "may not import projection"},
		{"an adapter imports another", "adapters/sqlite/x.go", module + "/adapters/memory", "may not import adapters/memory"},
		{"the codec imports one of its formats' modules", "eventstore/codec/x.go", "github.com/go-json-experiment/json", "may not import github.com/go-json-experiment/json"},
		{"the core imports a driver", "projection/x.go", "modernc.org/sqlite", "may not import modernc.org/sqlite"},
		{"an example imports a driver", "examples/shop/x.go", "modernc.org/sqlite", "may not import modernc.org/sqlite"},
		{"a module whose name only begins like an allowed one", "adapters/sqlite/x.go", "modernc.org/sqlitefs", "may not import modernc.org/sqlitefs"},
		{"an unknown third-party module", "cmd/leftfold/x.go", "example.com/left-pad", "may not import example.com/left-pad"},
		{"an unknown module, in a test", "query/x_test.go", "example.com/left-pad", "may not import example.com/left-pad"},
		{"testify in production code", "eventstore/x.go", "github.com/stretchr/testify/assert", "only _test.go files"},
		{"testify in a test kit", "eventstore/eventstoretest/x.go", "github.com/stretchr/testify/assert", "only _test.go files"},
		{"the SDK of OpenTelemetry in production code", "adapters/otelhooks/x.go", "go.opentelemetry.io/otel/sdk/trace", "only _test.go files"},
		{"rapid in production code", "aggregate/x.go", rapid, "only _test.go files"},
		{"rapid in a test kit without a line for it", "eventstore/eventstoretest/x.go", rapid, "only _test.go files"},
		{"testing in production code", "command/x.go", "testing", "testing is for tests"},
		{"a test kit in a program", "cmd/leftfold/x.go", module + "/aggregate/aggregatetest", "aggregate/aggregatetest is for tests"},
		{"cgo", "adapters/sqlite/x.go", "C", "no cgo"},
		{"a package nobody decided on", "utils/x.go", "fmt", addToIt},
		{"a package below a known one", "eventstore/impl/x.go", "fmt", addToIt},
		{"a file under a build constraint", "query/x_plan9.go", module + "/command", "may not import command"},
	} {
		t.Run(plant.name, func(t *testing.T) {
			t.Parallel()
			source := fmt.Sprintf("package x\n\nimport _ %q\n", plant.imports)
			broken, err := violations(fstest.MapFS{plant.file: {Data: []byte(source)}})
			require.NoError(t, err)
			require.Len(t, broken, 1)
			assert.Contains(t, broken[0], plant.file)
			assert.Contains(t, broken[0], plant.finding)
		})
	}
}

func TestAllowedImportsAreNoViolations(t *testing.T) {
	t.Parallel()
	tree := fstest.MapFS{
		"aggregate/x.go":                 importing("context", module+"/eventstore", module+"/eventstore/codec"),
		"aggregate/aggregatetest/x.go":   importing("testing", rapid, module+"/aggregate"),
		"aggregate/x_test.go":            importing("testing", "github.com/stretchr/testify/require", module+"/adapters/memory", module+"/aggregate/aggregatetest"),
		"adapters/sqlite/x.go":           importing("database/sql", "modernc.org/sqlite", "modernc.org/sqlite/lib", module+"/projection"),
		"cmd/leftfold/x.go":              importing("github.com/spf13/cobra", module+"/examples/shop", module+"/adapters/sqlite"),
		"eventstore/eventstoretest/x.go": importing("testing", "testing/synctest", porcupine, module+"/eventstore"),

		// Not ours to judge: fixtures, hidden folders, modules of their own.
		"codec/testdata/x.go": importing("example.com/left-pad"),
		".git/x.go":           importing("example.com/left-pad"),
		"benchmarks/go.mod":   {Data: []byte("module example.com/benchmarks\n")},
		"benchmarks/x.go":     importing("example.com/left-pad"),
	}
	broken, err := violations(tree)
	require.NoError(t, err)
	assert.Empty(t, broken)
}

// modernc.org/sqlite is tested by its authors with one version of modernc.org/libc, its
// translation of the C library; with another one it may corrupt memory.
func TestLibcIsTheOneThatSQLiteAsksFor(t *testing.T) {
	t.Parallel()
	ours, err := requirements("go.mod")
	require.NoError(t, err)
	sqlite := ours["modernc.org/sqlite"]
	require.NotEmpty(t, sqlite, "go.mod does not require modernc.org/sqlite")

	cache, err := exec.CommandContext(t.Context(), "go", "env", "GOMODCACHE").Output()
	require.NoError(t, err)
	theirs, err := requirements(filepath.Join(strings.TrimSpace(string(cache)),
		"cache", "download", "modernc.org", "sqlite", "@v", sqlite+".mod"))
	if os.IsNotExist(err) {
		t.Skip("the module cache does not have the go.mod of modernc.org/sqlite: run go mod download")
	}
	require.NoError(t, err)

	assert.Equal(t, theirs["modernc.org/libc"], ours["modernc.org/libc"],
		"go get modernc.org/libc@%s", theirs["modernc.org/libc"])
}

// violations parses the import lines of every Go file of the tree, whatever its build
// constraints, and says in one sentence each what breaks the table.
func violations(tree fs.FS) ([]string, error) {
	var broken []string
	err := fs.WalkDir(tree, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && notOurs(tree, name):
			return fs.SkipDir
		case entry.IsDir() || path.Ext(name) != ".go":
			return nil
		}
		imports, err := importsOf(tree, name)
		if err != nil {
			return err
		}
		broken = append(broken, violationsOf(name, imports)...)
		return nil
	})
	return broken, err
}

// notOurs follows the go command: it ignores these folders too.
func notOurs(tree fs.FS, dir string) bool {
	if dir == "." {
		return false
	}
	base := path.Base(dir)
	_, nested := fs.Stat(tree, path.Join(dir, "go.mod"))
	return nested == nil || base == "testdata" || base == "vendor" || strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_")
}

func importsOf(tree fs.FS, name string) ([]string, error) {
	source, err := fs.ReadFile(tree, name)
	if err != nil {
		return nil, err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, source, parser.ImportsOnly)
	if err != nil {
		return nil, err
	}
	var imports []string
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return nil, err
		}
		imports = append(imports, imported)
	}
	return imports, nil
}

func violationsOf(file string, imports []string) []string {
	pkg := path.Dir(file)
	at := slices.IndexFunc(importTable, func(r rule) bool { return within(pkg, r.pkg) })
	if at < 0 {
		return []string{fmt.Sprintf("%s: package %s is new: %s", file, pkg, addToIt)}
	}
	var broken []string
	for _, imported := range imports {
		if problem := importTable[at].judge(file, imported); problem != "" {
			broken = append(broken, file+": "+problem)
		}
	}
	return broken
}

// judge returns what is wrong with one import, or "".
func (r rule) judge(file, imported string) string {
	inTest := strings.HasSuffix(file, "_test.go")
	own, isOwn := strings.CutPrefix(imported, module+"/")
	switch {
	case imported == "C":
		return "no cgo: Leftfold builds without a C compiler"
	case !inTest && !isTestKit(path.Dir(file)) && (within(imported, "testing/...") || isOwn && isTestKit(own)):
		return cmp.Or(own, imported) + " is for tests: only _test.go files and test kits import it"
	case isStandard(imported):
		return ""
	case isOwn && (inTest || slices.ContainsFunc(r.own, func(pattern string) bool { return within(own, pattern) })):
		return ""
	case isOwn:
		return fmt.Sprintf("%s may not import %s: %s", path.Dir(file), own, addToIt)
	case isOfModule(imported, testOnly) && !inTest && !(isTestKit(path.Dir(file)) && isOfModule(imported, r.modules)):
		return "only _test.go files import " + imported
	case isOfModule(imported, testOnly) || isOfModule(imported, r.modules):
		return ""
	default:
		return fmt.Sprintf("%s may not import %s: %s", path.Dir(file), imported, addToIt)
	}
}

// within reports whether the path is the pattern or, for "x/...", x or below it.
func within(name, pattern string) bool {
	if pattern == "..." {
		return true
	}
	top, deep := strings.CutSuffix(pattern, "/...")
	return name == top || deep && strings.HasPrefix(name, top+"/")
}

func isOfModule(imported string, modules []string) bool {
	return slices.ContainsFunc(modules, func(m string) bool { return within(imported, m+"/...") })
}

func isTestKit(pkg string) bool { return strings.HasSuffix(pkg, "test") }

// isStandard: the go command keeps paths whose first element has no dot for itself.
func isStandard(imported string) bool {
	first, _, _ := strings.Cut(imported, "/")
	return !strings.Contains(first, ".")
}

// requirements returns version by module of a go.mod file.
func requirements(file string) (map[string]string, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	required := map[string]string{}
	for lines := bufio.NewScanner(bytes.NewReader(text)); lines.Scan(); {
		fields := strings.Fields(strings.TrimPrefix(lines.Text(), "require "))
		if len(fields) >= 2 && strings.HasPrefix(fields[1], "v") {
			required[fields[0]] = fields[1]
		}
	}
	return required, nil
}

func importing(paths ...string) *fstest.MapFile {
	var source strings.Builder
	source.WriteString("package x\n")
	for _, imported := range paths {
		fmt.Fprintf(&source, "import _ %q\n", imported)
	}
	return &fstest.MapFile{Data: []byte(source.String())}
}

func list(items ...string) []string { return items }
