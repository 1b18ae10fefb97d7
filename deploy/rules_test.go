package deploy_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const port = 8080

// A validator knows what CloudFormation takes. These know what Leftfold needs.
func TestTemplatesKeepTheRules(t *testing.T) {
	t.Parallel()
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			assert.Empty(t, findings(t, name, load(t, name)))
		})
	}
}

// findings are what is wrong with a template, by all rules.
func findings(t testing.TB, name string, tmpl template) []string {
	t.Helper()
	var found []string
	say := func(format string, args ...any) { found = append(found, fmt.Sprintf(format, args...)) }
	parametersAreDocumented(tmpl, say)
	tasks(tmpl, budget(t), say)
	workers(tmpl, say)
	services(tmpl, say)
	functions(tmpl, say)
	kept(tmpl, say)
	databases(tmpl, say)
	buckets(tmpl, say)
	streams(tmpl, say)
	queues(tmpl, say)
	rulesOfTheBus(tmpl, say)
	groups(tmpl, say)
	secrets(tmpl, say)
	variables(t, tmpl, say)
	permissions(t, name, tmpl, say)
	slices.Sort(found)
	return found
}

type sayf func(format string, args ...any)

// budget is how many seconds a server may take to stop: the default Drain of httpapi, as its source
// says it, and 5 s for the notice, the last second of what is cut off, workers and pools.
func budget(t testing.TB) int {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../adapters/httpapi/serve.go", nil, parser.SkipObjectResolution)
	require.NoError(t, err)
	drain := 0
	ast.Inspect(file, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr) // cmp.Or(o.Drain, 20*time.Second)
		if !ok || len(call.Args) != 2 {
			return true
		}
		field, isField := call.Args[0].(*ast.SelectorExpr)
		product, isProduct := call.Args[1].(*ast.BinaryExpr)
		if !isField || !isProduct || field.Sel.Name != "Drain" {
			return true
		}
		if seconds, ok := product.X.(*ast.BasicLit); ok {
			drain, err = strconv.Atoi(seconds.Value)
		}
		return true
	})
	require.NoError(t, err)
	require.Positive(t, drain, "httpapi does not say its default Drain as it did: cmp.Or(o.Drain, 20*time.Second)")
	return drain + 5
}

func parametersAreDocumented(tmpl template, say sayf) {
	parameters, _ := tmpl["Parameters"].(map[string]any)
	for name, p := range parameters {
		if text, _ := at(p, "Description").(string); len(text) < 10 {
			say("parameter %s has no description", name)
		}
	}
}

func tasks(tmpl template, budget int, say sayf) {
	for _, task := range tmpl.every("AWS::ECS::TaskDefinition") {
		c := task.property("ContainerDefinitions", 0)
		if stop, _ := at(c, "StopTimeout").(int); stop <= budget || stop > 120 {
			say("%s: StopTimeout is %d s; the server may take %d s to stop, and Fargate waits 120 s at most", task.name, stop, budget)
		}
		if user, _ := at(c, "User").(string); user == "" || strings.HasPrefix(user, "0") || strings.HasPrefix(user, "root") {
			say("%s: runs as root", task.name)
		}
		if at(c, "ReadonlyRootFilesystem") != true {
			say("%s: its file system can be written", task.name)
		}
		if fmt.Sprint(at(c, "LinuxParameters", "Capabilities", "Drop")) != "[ALL]" {
			say("%s: keeps capabilities", task.name)
		}
		if fmt.Sprint(at(c, "HealthCheck", "Command")) != fmt.Sprintf("[CMD /health http://127.0.0.1:%d/healthz]", port) {
			say("%s: health check is not what the image has", task.name)
		}
	}
}

// workers: what they are told to do by default is the verb work, on the port that is asked for their health.
func workers(tmpl template, say sayf) {
	p := at(tmpl, "Parameters", "WorkerCommand")
	if p == nil {
		return
	}
	if command, want := at(p, "Default"), fmt.Sprintf("work,--listen,:%d", port); command != want {
		say("WorkerCommand is %v by default, want %s", command, want)
	}
}

func services(tmpl template, say sayf) {
	for _, s := range tmpl.every("AWS::ECS::Service") {
		if at(s.property("DeploymentConfiguration", "DeploymentCircuitBreaker"), "Rollback") != true || s.property("DeploymentConfiguration", "DeploymentCircuitBreaker", "Enable") != true {
			say("%s: a deployment that fails is not rolled back", s.name)
		}
		if s.property("NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp") != "DISABLED" {
			say("%s: tasks have public addresses", s.name)
		}
	}
	for _, g := range tmpl.every("AWS::ElasticLoadBalancingV2::TargetGroup") {
		if g.property("HealthCheckPath") != "/readyz" || g.property("Port") != port {
			say("%s: asks for %v on port %v, want /readyz on %d", g.name, g.property("HealthCheckPath"), g.property("Port"), port)
		}
	}
	for _, l := range tmpl.every("AWS::ElasticLoadBalancingV2::Listener") {
		if l.property("Protocol") != "HTTPS" && l.property("DefaultActions", 0, "RedirectConfig", "Protocol") != "HTTPS" {
			say("%s: serves without TLS", l.name)
		}
	}
}

func functions(tmpl template, say sayf) {
	for _, f := range tmpl.every("AWS::Lambda::Function") {
		if got := fmt.Sprintf("%v %v %v", f.property("Architectures"), f.property("Runtime"), f.property("Handler")); got != "[arm64] provided.al2023 bootstrap" {
			say("%s: is %s", f.name, got)
		}
	}
	for _, m := range tmpl.every("AWS::Lambda::EventSourceMapping") {
		if !slices.Contains(list(m.property("FunctionResponseTypes")), any("ReportBatchItemFailures")) {
			say("%s: without ReportBatchItemFailures Lambda takes a failed batch for done or does all of it again", m.name)
		}
		if m.property("BisectBatchOnFunctionError") != true {
			say("%s: BisectBatchOnFunctionError is off", m.name)
		}
		if m.property("ParallelizationFactor") != 1 {
			say("%s: ParallelizationFactor is not 1", m.name)
		}
		if m.property("DestinationConfig", "OnFailure", "Destination") == nil {
			say("%s: what is given up goes nowhere", m.name)
		}
		if m.property("MaximumRetryAttempts") != -1 || m.property("MaximumRecordAgeInSeconds") != -1 {
			say("%s: gives records up", m.name)
		}
		if m.property("StartingPosition") != "TRIM_HORIZON" {
			say("%s: does not begin at the oldest record", m.name)
		}
	}
}

// kept: what has data survives its stack.
func kept(tmpl template, say sayf) {
	holds := []string{"AWS::RDS::DBInstance", "AWS::S3::Bucket", "AWS::Kinesis::Stream", "AWS::DynamoDB::Table", "AWS::KMS::Key", "AWS::SQS::Queue", "AWS::Logs::LogGroup", "AWS::SecretsManager::Secret", "AWS::Events::Archive"}
	for _, kind := range holds {
		for _, r := range tmpl.every(kind) {
			if r.property("SourceDBInstanceIdentifier") != nil {
				continue // a replica is a copy
			}
			for _, policy := range []string{"DeletionPolicy", "UpdateReplacePolicy"} {
				if kept := r.body[policy]; kept != "Retain" && kept != "Snapshot" {
					say("%s: %s is %v", r.name, policy, kept)
				}
			}
		}
	}
}

func databases(tmpl template, say sayf) {
	for _, db := range tmpl.every("AWS::RDS::DBInstance") {
		if db.property("PubliclyAccessible") != false {
			say("%s: is public", db.name)
		}
		if db.property("DBParameterGroupName") == nil {
			say("%s: does not insist on TLS", db.name)
		}
		if db.property("SourceDBInstanceIdentifier") != nil {
			continue
		}
		if db.property("StorageEncrypted") != true || db.property("DeletionProtection") != true || db.property("MultiAZ") != true {
			say("%s: is not encrypted, protected and in two zones", db.name)
		}
		if days, _ := db.property("BackupRetentionPeriod").(int); days < 7 {
			say("%s: keeps backups for %d days", db.name, days)
		}
	}
	for _, group := range tmpl.every("AWS::RDS::DBParameterGroup") {
		if group.property("Parameters", "rds.force_ssl") != "1" {
			say("%s: does not insist on TLS", group.name)
		}
	}
	for _, table := range tmpl.every("AWS::DynamoDB::Table") {
		if fmt.Sprint(table.property("KeySchema")) != "[map[AttributeName:leaseKey KeyType:HASH]]" || fmt.Sprint(table.property("AttributeDefinitions")) != "[map[AttributeName:leaseKey AttributeType:S]]" {
			say("%s: its key is not leaseKey, a string", table.name)
		}
		if table.property("SSESpecification", "SSEEnabled") != true || table.property("DeletionProtectionEnabled") != true {
			say("%s: is not encrypted and protected", table.name)
		}
	}
}

func buckets(tmpl template, say sayf) {
	for _, b := range tmpl.every("AWS::S3::Bucket") {
		for _, block := range []string{"BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets"} {
			if b.property("PublicAccessBlockConfiguration", block) != true {
				say("%s: %s is off", b.name, block)
			}
		}
		if b.property("BucketEncryption") == nil || b.property("VersioningConfiguration", "Status") != "Enabled" {
			say("%s: is not encrypted and versioned", b.name)
		}
		if b.property("LifecycleConfiguration") != nil {
			say("%s: things in it expire", b.name)
		}
	}
}

func streams(tmpl template, say sayf) {
	for _, s := range tmpl.every("AWS::Kinesis::Stream") {
		if s.property("StreamEncryption", "EncryptionType") != "KMS" || s.property("StreamModeDetails", "StreamMode") != "PROVISIONED" {
			say("%s: is not encrypted and provisioned", s.name)
		}
		if least, alarm := at(tmpl, "Parameters", "RetentionHours", "MinValue"), alarmHours(tmpl); !isWeek(least) || alarm*2 > least.(int) || alarm == 0 {
			say("%s: keeps %v hours at least, and the alarm goes off after %d hours at most", s.name, least, alarm)
		}
		if fmt.Sprint(s.property("RetentionPeriodHours")) != "map[Ref:RetentionHours]" {
			say("%s: its retention is not the parameter", s.name)
		}
	}
	for _, k := range tmpl.every("AWS::KMS::Key") {
		if k.property("EnableKeyRotation") != true {
			say("%s: does not rotate", k.name)
		}
	}
}

func isWeek(hours any) bool {
	n, ok := hours.(int)
	return ok && n >= 7*24
}

// alarmHours is after how many hours, begun ones included, somebody is told that the reader of the stream is
// behind; 0: nobody is.
func alarmHours(tmpl template) int {
	for _, a := range tmpl.every("AWS::CloudWatch::Alarm") {
		if ms, _ := a.property("Threshold").(int); a.property("MetricName") == "IteratorAge" && ms > 0 {
			return 1 + ms/3_600_000
		}
		for _, m := range list(a.property("Metrics")) {
			if at(m, "MetricStat", "Metric", "MetricName") == "GetRecords.IteratorAgeMilliseconds" {
				most, _ := at(tmpl, "Parameters", "AgeAlarmHours", "MaxValue").(int)
				return most
			}
		}
	}
	return 0
}

func queues(tmpl template, say sayf) {
	for _, q := range tmpl.every("AWS::SQS::Queue") {
		if q.property("SqsManagedSseEnabled") != true {
			say("%s: is not encrypted", q.name)
		}
	}
	for _, p := range tmpl.every("AWS::SQS::QueuePolicy") {
		if p.property("PolicyDocument", "Statement", 0, "Condition", "ArnEquals", "aws:SourceArn") == nil {
			say("%s: takes messages of anybody's rule", p.name)
		}
	}
}

func rulesOfTheBus(tmpl template, say sayf) {
	want := map[string]string{"LiveRule": "[map[exists:false]]", "RebuildRule": "[map[exists:true]]"}
	for _, r := range tmpl.every("AWS::Events::Rule") {
		if fmt.Sprint(r.property("EventPattern", "replay-name")) != want[r.name] {
			say("%s: a replay reaches what is live, or not what is rebuilt", r.name)
		}
		for i := range list(r.property("Targets")) {
			queue := fmt.Sprint(at(r.property("Targets", i), "Arn", "Fn::GetAtt"))
			name := strings.TrimSuffix(queue, ".Arn")
			if r.property("Targets", i, "DeadLetterConfig") == nil || at(tmpl, "Resources", name, "Properties", "RedrivePolicy") == nil {
				say("%s: has no dead letters", r.name)
			}
		}
	}
}

// groups: who is reached by addresses is the load balancer, and what leaves by addresses is TLS.
func groups(tmpl template, say sayf) {
	for _, g := range tmpl.every("AWS::EC2::SecurityGroup") {
		for _, in := range list(g.property("SecurityGroupIngress")) {
			if at(in, "CidrIp") != nil && g.name != "BalancerGroup" {
				say("%s: can be reached by address", g.name)
			}
		}
		out := list(g.property("SecurityGroupEgress"))
		if len(out) == 0 {
			say("%s: may connect to everything", g.name)
		}
		for _, to := range out {
			if at(to, "CidrIp") == "0.0.0.0/0" && (at(to, "FromPort") != 443 || at(to, "ToPort") != 443) {
				say("%s: may connect to anybody by more than TLS", g.name)
			}
		}
	}
	for _, kind := range []string{"AWS::EC2::SecurityGroupIngress", "AWS::EC2::SecurityGroupEgress"} {
		for _, in := range tmpl.every(kind) {
			want := port
			if strings.HasPrefix(in.name, "Database") {
				want = 5432
			}
			if in.property("CidrIp") != nil || in.property("FromPort") != want || in.property("ToPort") != want {
				say("%s: is not port %d between two groups", in.name, want)
			}
		}
	}
}

// secrets: none is in an environment that anybody who may describe a task or function reads.
func secrets(tmpl template, say sayf) {
	walk(map[string]any(tmpl), "", func(path string, v any) {
		if !strings.Contains(path, "/Environment") {
			return
		}
		text := strings.ToLower(fmt.Sprint(v))
		_, inner := v.(map[string]any)
		_, many := v.([]any)
		names := strings.ToLower(path) + " " + text
		secret := strings.Contains(names, "password") || strings.Contains(names, "resolve:secretsmanager") || strings.Contains(names, "secret_key")
		if secret && !inner && !many {
			say("a secret in plain: %s", path)
		}
	})
}
