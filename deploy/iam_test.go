package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// grant is what a statement of a policy may allow: what the code of some packages calls of a service, as
// their narrow interfaces say, and what else is called for a reason.
type grant struct {
	service  string   // of the SDK, such as "kinesis"
	packages []string // whose interfaces are read, with what is below them
	only     []string // of their calls; empty: all
	others   []string // actions that no interface of ours has
	reason   string   // for others, and for wildcards
	anyOne   bool     // the resource may have a wildcard
}

var (
	readsStream = []string{"DescribeStreamSummary", "ListShards", "GetShardIterator", "GetRecords"}
	kinesis     = "adapters/kinesisstore"
	bus         = "adapters/eventbridgebus"
)

// grants are all that the templates allow to roles, by template, resource and statement.
var grants = map[string]grant{
	"container ExecutionRole Login":       {others: actions("ecr:GetAuthorizationToken"), anyOne: true, reason: "ECS: IAM knows no resource for it"},
	"container ExecutionRole Pull":        {others: actions("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"), reason: "ECS pulls the image"},
	"container ExecutionRole Logs":        {others: actions("logs:CreateLogStream", "logs:PutLogEvents"), reason: "the awslogs driver"},
	"container ExecutionRole Secret":      {others: actions("secretsmanager:GetSecretValue"), reason: "ECS puts secrets into the task"},
	"container TaskRole Discover":         {service: "servicediscovery", packages: actions("adapters/discovery/cloudmap"), anyOne: true, reason: "IAM knows no resource for it; the condition names the namespace"},
	"container UiBucketPolicy CloudFront": {others: actions("s3:GetObject"), anyOne: true, reason: "the objects of one bucket"},

	"serverless Key Account":             {others: actions("kms:*"), anyOne: true, reason: "the account owns its key; IAM policies say who uses it"},
	"serverless FeederPolicy Feed":       {service: "kinesis", packages: actions(kinesis), only: []string{"PutRecords"}},
	"serverless FeederPolicy Key":        {others: actions("kms:GenerateDataKey"), reason: "Kinesis uses the key for who calls it"},
	"serverless ApiRole Secret":          {others: actions("secretsmanager:GetSecretValue"), reason: "the program reads the password"},
	"serverless ProjectorRole Secret":    {others: actions("secretsmanager:GetSecretValue"), reason: "the program reads the password"},
	"serverless ProjectorRole Mapping":   {others: actions("kinesis:DescribeStream", "kinesis:DescribeStreamSummary", "kinesis:GetRecords", "kinesis:GetShardIterator", "kinesis:ListShards", "kinesis:ListStreams"), reason: "Lambda reads the stream, as its documentation asks"},
	"serverless ProjectorRole StreamKey": {others: actions("kms:Decrypt"), reason: "Kinesis decrypts for its reader"},
	"serverless ProjectorRole Failures":  {others: actions("sqs:SendMessage"), reason: "Lambda names what is given up"},

	"kinesis-store Key Account":           {others: actions("kms:*"), anyOne: true, reason: "the account owns its key; IAM policies say who uses it"},
	"kinesis-store ArchivePolicy TlsOnly": {others: actions("s3:*"), anyOne: true, reason: "it denies"},
	"kinesis-store ExecutionRole Login":   {others: actions("ecr:GetAuthorizationToken"), anyOne: true, reason: "ECS: IAM knows no resource for it"},
	"kinesis-store ExecutionRole Pull":    {others: actions("ecr:BatchCheckLayerAvailability", "ecr:GetDownloadUrlForLayer", "ecr:BatchGetImage"), reason: "ECS pulls the image"},
	"kinesis-store ExecutionRole Logs":    {others: actions("logs:CreateLogStream", "logs:PutLogEvents"), reason: "the awslogs driver"},
	"kinesis-store ExecutionRole Secret":  {others: actions("secretsmanager:GetSecretValue"), reason: "ECS puts secrets into the task"},
	"kinesis-store IndexerRole Read":      {service: "kinesis", packages: actions(kinesis + "/consumer"), only: readsStream},
	"kinesis-store IndexerRole Leases":    {service: "dynamodb", packages: actions(kinesis), only: []string{"DescribeTable", "Scan", "PutItem", "DeleteItem"}},
	"kinesis-store IndexerRole Archive":   {others: actions("s3:PutObject", "s3:GetObject"), anyOne: true, reason: "the objects of one bucket; the archive is a port, and S3 one way to fill it"},
	"kinesis-store IndexerRole ArchiveList": {
		others: actions("s3:ListBucket"), reason: "a rebuild lists the archive",
	},
	"kinesis-store IndexerRole Key":     {others: actions("kms:Decrypt", "kms:GenerateDataKey"), reason: "Kinesis and S3 use the key for who calls them"},
	"kinesis-store WriterPolicy Append": {service: "kinesis", packages: actions(kinesis), only: []string{"PutRecord", "DescribeStreamSummary"}},
	"kinesis-store WriterPolicy Key":    {others: actions("kms:GenerateDataKey"), reason: "Kinesis uses the key for who calls it"},

	"eventbridge PublisherPolicy Publish": {service: "eventbridge", packages: actions(bus), only: []string{"PutEvents"}},
	"eventbridge ConsumerPolicy Consume":  {service: "sqs", packages: actions(bus)},
	"eventbridge ReplayPolicy Archive":    {others: actions("events:StartReplay"), reason: "a rebuild replays this archive"},
	"eventbridge ReplayPolicy Replay":     {service: "eventbridge", packages: actions(bus), only: []string{"StartReplay", "DescribeReplay"}, anyOne: true, reason: "whoever replays names the replay"},
	"eventbridge LivePolicy Rule":         {others: actions("sqs:SendMessage"), reason: "the rule delivers"},
	"eventbridge LiveDeadPolicy Rule":     {others: actions("sqs:SendMessage"), reason: "the rule delivers"},
	"eventbridge RebuildPolicy Rule":      {others: actions("sqs:SendMessage"), reason: "the rule delivers"},
	"eventbridge RebuildDeadPolicy Rule":  {others: actions("sqs:SendMessage"), reason: "the rule delivers"},
}

func actions(all ...string) []string { return all }

// permissions compares every statement of every policy with grants.
func permissions(t testing.TB, name string, tmpl template, say sayf) {
	t.Helper()
	seen := map[string]bool{}
	for _, r := range tmpl.every("") {
		for _, arn := range list(r.property("ManagedPolicyArns")) {
			if fmt.Sprint(arn) != "map[Fn::Sub:arn:${AWS::Partition}:iam::aws:policy/service-role/AWSLambdaVPCAccessExecutionRole]" {
				say("%s: has a managed policy that is not listed: %v", r.name, arn)
			}
		}
		documents := []any{r.property("PolicyDocument"), r.property("KeyPolicy")}
		for _, p := range list(r.property("Policies")) {
			documents = append(documents, at(p, "PolicyDocument"))
		}
		for _, d := range documents {
			for _, s := range list(at(d, "Statement")) {
				key := fmt.Sprintf("%s %s %v", name, r.name, at(s, "Sid"))
				seen[key] = true
				statement(t, key, s, say)
			}
		}
	}
	for key := range grants {
		if strings.HasPrefix(key, name+" ") && !seen[key] {
			say("%s: is in the table and not in the template", key)
		}
	}
}

func statement(t testing.TB, key string, s any, say sayf) {
	t.Helper()
	g, known := grants[key]
	if !known {
		say("%s: is in no table of grants", key)
		return
	}
	var has []string
	for _, a := range list(at(s, "Action")) {
		has = append(has, fmt.Sprint(a))
	}
	want := g.wants(t)
	slices.Sort(has)
	if !slices.Equal(has, want) {
		say("%s: allows %v, the code calls %v", key, has, want)
	}
	walk(at(s, "Resource"), "", func(_ string, v any) {
		if text, ok := v.(string); ok && strings.Contains(text, "*") && !g.anyOne {
			say("%s: a wildcard in its resource: %s", key, text)
		}
	})
}

// wants are the actions that a statement must have, sorted.
func (g grant) wants(t testing.TB) []string {
	t.Helper()
	want := slices.Clone(g.others)
	calls := map[string]bool{}
	for _, pkg := range g.packages {
		maps.Copy(calls, operations(t, filepath.Join("..", filepath.FromSlash(pkg)))[g.service])
	}
	if g.service != "" {
		require.NotEmpty(t, calls, "no interface in %v has a call of %s", g.packages, g.service)
	}
	for call := range calls {
		if len(g.only) == 0 || slices.Contains(g.only, call) {
			want = append(want, action(g.service, call))
		}
	}
	slices.Sort(want)
	return slices.Compact(want)
}

// action is what IAM calls an operation. SQS has none for batches: they need what their entries need.
func action(service, call string) string {
	switch service {
	case "eventbridge":
		service = "events"
	case "sqs":
		call = strings.TrimSuffix(call, "Batch")
	}
	return service + ":" + call
}

// operations are the calls of AWS that the interfaces below a directory have, by service: a method that takes
// *<service>.<Operation>Input.
func operations(t testing.TB, dir string) map[string]map[string]bool {
	t.Helper()
	found := map[string]map[string]bool{}
	err := filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil
		}
		if err != nil || entry.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			return err
		}
		inFile(file, found)
		return nil
	})
	require.NoError(t, err)
	return found
}

const sdkServices = "github.com/aws/aws-sdk-go-v2/service/"

func inFile(file *ast.File, found map[string]map[string]bool) {
	services := map[string]string{} // by the name that the file gives them
	for _, spec := range file.Imports {
		path, err := strconv.Unquote(spec.Path.Value)
		service, ok := strings.CutPrefix(path, sdkServices)
		if err != nil || !ok || strings.Contains(service, "/") {
			continue
		}
		name := service
		if spec.Name != nil {
			name = spec.Name.Name
		}
		services[name] = service
	}
	ast.Inspect(file, func(n ast.Node) bool {
		api, ok := n.(*ast.InterfaceType)
		if !ok {
			return true
		}
		for _, method := range api.Methods.List {
			if f, ok := method.Type.(*ast.FuncType); ok {
				inMethod(f, services, found)
			}
		}
		return false
	})
}

func inMethod(f *ast.FuncType, services map[string]string, found map[string]map[string]bool) {
	for _, parameter := range f.Params.List {
		star, ok := parameter.Type.(*ast.StarExpr)
		if !ok {
			continue
		}
		input, ok := star.X.(*ast.SelectorExpr)
		if !ok {
			continue
		}
		pkg, _ := input.X.(*ast.Ident)
		operation, isInput := strings.CutSuffix(input.Sel.Name, "Input")
		if pkg == nil || services[pkg.Name] == "" || !isInput {
			continue
		}
		service := services[pkg.Name]
		if found[service] == nil {
			found[service] = map[string]bool{}
		}
		found[service][operation] = true
	}
}

// Every call of our adapters is allowed by a statement of a template.
func TestEveryCallOfTheAdaptersIsAllowedSomewhere(t *testing.T) {
	t.Parallel()
	notAllowed := map[string]string{
		"events:CreateArchive":     "the template makes the archive",
		"dynamodb:CreateTable":     "the template makes the table",
		"kinesis:SubscribeToShard": "who turns on fan-out registers a consumer, which this is allowed for",
	}
	allowed := map[string]bool{}
	for _, g := range grants {
		for _, name := range g.wants(t) {
			allowed[name] = true
		}
	}
	calls := operations(t, "../adapters")
	require.Equal(t, map[string]bool{"DiscoverInstances": true}, calls["servicediscovery"], "the sources are read as they are written")
	for service, operations := range calls {
		for operation := range operations {
			name := action(service, operation)
			assert.True(t, allowed[name] || notAllowed[name] != "", "%s is called and no template allows it", name)
		}
	}
}
