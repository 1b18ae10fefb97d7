// Package consumertest has the tests that every [consumer.LeaseStore] and
// [consumer.CheckpointStore] passes.
package consumertest
