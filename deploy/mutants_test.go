package deploy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// set puts a value into a resource's properties; nil takes the last key away.
func set(value any, path ...any) func(t testing.TB, r map[string]any) {
	return func(t testing.TB, r map[string]any) {
		t.Helper()
		last := path[len(path)-1]
		holder := at(r, path[:len(path)-1]...)
		switch holder := holder.(type) {
		case map[string]any:
			key, ok := last.(string)
			require.True(t, ok)
			if value == nil {
				require.Contains(t, holder, key, "the mutant removes what is not there")
				delete(holder, key)
				return
			}
			holder[key] = value
		case []any:
			index, ok := last.(int)
			require.True(t, ok)
			holder[index] = value
		default:
			t.Fatalf("%v leads nowhere", path)
		}
	}
}

func property(value any, path ...any) func(t testing.TB, r map[string]any) {
	return set(value, append([]any{"Properties"}, path...)...)
}

// The rules are only worth something if each finds what it is for.
func TestPlantedMistakesAreFound(t *testing.T) {
	t.Parallel()
	statement := []any{"Policies", 0, "PolicyDocument", "Statement"}
	in := func(n int, path ...any) []any {
		return append(append([]any{}, statement...), append([]any{n}, path...)...)
	}
	container := func(path ...any) []any { return append([]any{"ContainerDefinitions", 0}, path...) }
	for _, m := range []struct {
		template, resource string
		mutate             func(t testing.TB, r map[string]any)
		says               string
	}{
		{"container", "ServiceTask", property(25, container("StopTimeout")...), "StopTimeout is 25 s"},
		{"container", "WorkerTask", property(nil, container("StopTimeout")...), "StopTimeout is 0 s"},
		{"container", "ServiceTask", property(121, container("StopTimeout")...), "120 s at most"},
		{"container", "WorkerTask", property(nil, container("User")...), "runs as root"},
		{"container", "WorkerTask", property("0:0", container("User")...), "runs as root"},
		{"container", "ServiceTask", property(false, container("ReadonlyRootFilesystem")...), "can be written"},
		{"container", "ServiceTask", property([]any{}, container("LinuxParameters", "Capabilities", "Drop")...), "keeps capabilities"},
		{"container", "ServiceTask", property([]any{"CMD-SHELL", "curl localhost"}, container("HealthCheck", "Command")...), "health check"},
		{"container", "ServiceTask", property(map[string]any{"Name": "PGPASSWORD", "Value": "hunter2"}, container("Environment", 0)...), "a secret in plain"},
		{"container", "Service", property(false, "DeploymentConfiguration", "DeploymentCircuitBreaker", "Rollback"), "not rolled back"},
		{"container", "Workers", property("ENABLED", "NetworkConfiguration", "AwsvpcConfiguration", "AssignPublicIp"), "public addresses"},
		{"container", "Targets", property("/healthz", "HealthCheckPath"), "want /readyz"},
		{"container", "Targets", property(80, "Port"), "on port 80"},
		{"container", "HttpListener", property("HTTP", "DefaultActions", 0, "RedirectConfig", "Protocol"), "without TLS"},
		{"container", "Database", property(false, "StorageEncrypted"), "not encrypted, protected"},
		{"container", "Database", property(false, "DeletionProtection"), "not encrypted, protected"},
		{"container", "Database", property(1, "BackupRetentionPeriod"), "backups for 1 days"},
		{"container", "Replica", property(true, "PubliclyAccessible"), "is public"},
		{"container", "Replica", property(nil, "DBParameterGroupName"), "insist on TLS"},
		{"container", "DatabaseParameters", property("0", "Parameters", "rds.force_ssl"), "insist on TLS"},
		{"container", "Database", set("Delete", "DeletionPolicy"), "DeletionPolicy is Delete"},
		{"container", "DatabaseSecret", set(nil, "UpdateReplacePolicy"), "UpdateReplacePolicy is <nil>"},
		{"container", "UiBucket", property(false, "PublicAccessBlockConfiguration", "BlockPublicPolicy"), "BlockPublicPolicy is off"},
		{"container", "UiBucket", property(nil, "BucketEncryption"), "not encrypted and versioned"},
		{"container", "ServiceGroup", property([]any{map[string]any{"CidrIp": "0.0.0.0/0"}}, "SecurityGroupIngress"), "reached by address"},
		{"container", "ServiceGroup", property(nil, "SecurityGroupEgress"), "connect to everything"},
		{"container", "WorkerGroup", property(0, "SecurityGroupEgress", 0, "FromPort"), "by more than TLS"},
		{"container", "DatabaseFromWorkers", property(5433, "ToPort"), "not port 5432"},
		{"container", "ServiceFromBalancer", property("0.0.0.0/0", "CidrIp"), "between two groups"},
		{"container", "TaskRole", property([]any{"servicediscovery:*"}, in(0, "Action")...), "the code calls"},
		{"container", "TaskRole", property([]any{"servicediscovery:DiscoverInstances", "s3:GetObject"}, in(0, "Action")...), "the code calls"},
		{"container", "TaskRole", property([]any{}, in(0, "Action")...), "the code calls [servicediscovery:DiscoverInstances]"},
		{"container", "TaskRole", property("Other", in(0, "Sid")...), "in no table"},
		{"container", "TaskRole", property([]any{"arn:aws:iam::aws:policy/AdministratorAccess"}, "ManagedPolicyArns"), "not listed"},
		{"container", "ExecutionRole", property("*", in(3, "Resource")...), "a wildcard in its resource"},

		{"serverless", "Mapping", property(nil, "FunctionResponseTypes"), "ReportBatchItemFailures"},
		{"serverless", "Mapping", property(false, "BisectBatchOnFunctionError"), "BisectBatchOnFunctionError"},
		{"serverless", "Mapping", property(10, "ParallelizationFactor"), "not 1"},
		{"serverless", "Mapping", property(nil, "DestinationConfig"), "goes nowhere"},
		{"serverless", "Mapping", property(3, "MaximumRetryAttempts"), "gives records up"},
		{"serverless", "Mapping", property("LATEST", "StartingPosition"), "oldest record"},
		{"serverless", "Api", property([]any{"x86_64"}, "Architectures"), "x86_64"},
		{"serverless", "Api", property("{{resolve:secretsmanager:x}}", "Environment", "Variables", "PGUSER"), "a secret in plain"},
		{"serverless", "Stream", property(24, "RetentionPeriodHours"), "retention is not the parameter"},
		{"serverless", "Behind", property("Duration", "MetricName"), "after 0 hours at most"},
		{"serverless", "Behind", property(400_000_000, "Threshold"), "after 112 hours at most"},
		{"serverless", "Api", property("worker", "Environment", "Variables", "FUNCTION"), "the example is none of worker"},
		{"serverless", "Projector", property(nil, "Environment", "Variables", "FUNCTION"), "the example reads FUNCTION"},
		{"serverless", "Projector", property(nil, "Environment", "Variables", "PGHOST"), "the example reads PGHOST"},
		{"serverless", "Api", property("x", "Environment", "Variables", "DATABASE_URL"), "the example does not read DATABASE_URL"},

		{"kinesis-store", "Stream", property("ON_DEMAND", "StreamModeDetails", "StreamMode"), "provisioned"},
		{"kinesis-store", "Stream", property(nil, "StreamEncryption"), "not encrypted"},
		{"kinesis-store", "Stream", property(24, "RetentionPeriodHours"), "retention is not the parameter"},
		{"kinesis-store", "Key", property(nil, "EnableKeyRotation"), "does not rotate"},
		{"kinesis-store", "Leases", property("streamName", "KeySchema", 0, "AttributeName"), "key is not leaseKey"},
		{"kinesis-store", "Leases", property(false, "DeletionProtectionEnabled"), "encrypted and protected"},
		{"kinesis-store", "Archive", property(map[string]any{}, "LifecycleConfiguration"), "expire"},
		{"kinesis-store", "Archive", property("Suspended", "VersioningConfiguration", "Status"), "versioned"},

		{"eventbridge", "LiveRule", property(nil, "EventPattern", "replay-name"), "a replay reaches"},
		{"eventbridge", "RebuildRule", property(false, "EventPattern", "replay-name", 0, "exists"), "a replay reaches"},
		{"eventbridge", "LiveRule", property(nil, "Targets", 0, "DeadLetterConfig"), "no dead letters"},
		{"eventbridge", "Rebuild", property(nil, "RedrivePolicy"), "no dead letters"},
		{"eventbridge", "LiveDead", property(nil, "SqsManagedSseEnabled"), "not encrypted"},
		{"eventbridge", "LivePolicy", property(nil, "PolicyDocument", "Statement", 0, "Condition"), "anybody's rule"},
		{"eventbridge", "PublisherPolicy", property([]any{}, "PolicyDocument", "Statement"), "in the table and not in the template"},
	} {
		t.Run(m.template+" "+m.resource+" "+m.says, func(t *testing.T) {
			t.Parallel()
			tmpl := load(t, m.template)
			r, ok := at(tmpl, "Resources", m.resource).(map[string]any)
			require.True(t, ok, "no such resource")
			m.mutate(t, r)
			assert.Contains(t, strings.Join(findings(t, m.template, tmpl), "\n"), m.says)
		})
	}
	t.Run("parameters", func(t *testing.T) {
		t.Parallel()
		work := load(t, "container")
		set("work,--listen,:80", "Parameters", "WorkerCommand", "Default")(t, work)
		assert.Contains(t, strings.Join(findings(t, "container", work), "\n"), "WorkerCommand is work,--listen,:80 by default")
		tmpl := load(t, "kinesis-store")
		set(24, "Parameters", "RetentionHours", "MinValue")(t, tmpl)
		set(nil, "Parameters", "Image", "Description")(t, tmpl)
		found := strings.Join(findings(t, "kinesis-store", tmpl), "\n")
		assert.Contains(t, found, "keeps 24 hours at least")
		assert.Contains(t, found, "parameter Image has no description")
	})
}
