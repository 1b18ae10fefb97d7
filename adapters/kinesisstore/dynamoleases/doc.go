// Package dynamoleases keeps the leases of a consumer of Kinesis in a table of DynamoDB, for a
// service that has no SQL database at hand.
//
//	leases, err := dynamoleases.Open(ctx, dynamodb.NewFromConfig(config), "orders-projector")
//	worker := consumer.Worker{Leases: leases, …}
//
// It keeps leases only, which divide the work. What has been taken in is the target's to keep,
// in the transaction in which it takes it in.
//
// A lease is an item of the table: leaseKey (the shard, the table's key), leaseOwner,
// leaseCounter and leaseWanted. The first three are named as KCL names them; KCL cannot share
// the table. A worker writes each of its leases about every three seconds, and reads all of
// them as often.
//
// It was tried on an emulator (dynalite), not on AWS.
package dynamoleases
