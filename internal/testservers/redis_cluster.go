package testservers

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
)

// RedisCluster is a Redis Cluster of three masters, each with a replica if they were asked
// for: Replicas[n] follows Masters[n], until somebody fails.
type RedisCluster struct {
	Masters, Replicas []*Redis
}

// RedisClusterOptions are the options of [StartRedisCluster].
type RedisClusterOptions struct {
	RedisOptions

	// Replicas gives each master one. A master that is gone is replaced after a second or
	// two. Default: none.
	Replicas bool
}

const (
	clusterMasters = 3
	clusterSlots   = 16384
)

// StartRedisCluster starts an empty cluster, and returns when each of its nodes says that all
// is well. It ends with Stop, or with this process.
func StartRedisCluster(ctx context.Context, options RedisClusterOptions) (*RedisCluster, error) {
	c := &RedisCluster{}
	if err := c.form(ctx, options); err != nil {
		return nil, fmt.Errorf("start a Redis Cluster: %w", errors.Join(err, c.Stop(context.WithoutCancel(ctx))))
	}
	return c, nil
}

func (c *RedisCluster) form(ctx context.Context, options RedisClusterOptions) error {
	if err := c.start(ctx, options); err != nil {
		return err
	}
	if err := c.join(ctx); err != nil {
		return err
	}
	for n, replica := range c.Replicas {
		if err := c.follow(ctx, replica, c.Masters[n]); err != nil {
			return err
		}
	}
	return nil
}

func (c *RedisCluster) start(ctx context.Context, options RedisClusterOptions) (err error) {
	settings := map[string]string{
		"cluster-enabled":      "yes",
		"cluster-node-timeout": "1000", // milliseconds; a test does not wait for the usual fifteen seconds
	}
	maps.Copy(settings, options.Settings)
	options.Settings = settings
	if c.Masters, err = startNodes(ctx, options); err != nil || !options.Replicas {
		return err
	}
	c.Replicas, err = startNodes(ctx, options)
	return err
}

// join gives the slots to the masters and makes all nodes known to each other.
func (c *RedisCluster) join(ctx context.Context) error {
	for n, master := range c.Masters {
		first, next := n*clusterSlots/clusterMasters, (n+1)*clusterSlots/clusterMasters
		if err := master.expect(ctx, fmt.Sprintf("CLUSTER ADDSLOTSRANGE %d %d", first, next-1), "+OK"); err != nil {
			return err
		}
	}
	for _, node := range c.nodes()[1:] {
		if err := c.Masters[0].expect(ctx, fmt.Sprintf("CLUSTER MEET 127.0.0.1 %d", node.port), "+OK"); err != nil {
			return err
		}
	}
	for _, node := range c.nodes() {
		if err := node.ready(ctx, c.isWell(node)); err != nil {
			return err
		}
	}
	return nil
}

func startNodes(ctx context.Context, options RedisClusterOptions) ([]*Redis, error) {
	var nodes []*Redis
	for range clusterMasters {
		node, err := StartRedis(ctx, options.RedisOptions)
		if err != nil {
			return nodes, err
		}
		nodes = append(nodes, node)
	}
	return nodes, nil
}

// isWell asks whether the node knows all others and who has which slot.
func (c *RedisCluster) isWell(node *Redis) func(ctx context.Context) error {
	return func(ctx context.Context) error {
		return errors.Join(
			node.expect(ctx, "CLUSTER INFO", "cluster_state:ok"),
			node.expect(ctx, "CLUSTER INFO", fmt.Sprintf("cluster_known_nodes:%d\r\n", len(c.nodes()))))
	}
}

// follow makes a node the replica of a master, and returns when everybody knows.
func (c *RedisCluster) follow(ctx context.Context, replica, master *Redis) error {
	answer, err := master.ask(ctx, "CLUSTER MYID") // $40, the id, +OK
	if err != nil {
		return err
	}
	id := strings.Fields(answer)[1]
	if err := replica.expect(ctx, "CLUSTER REPLICATE "+id, "+OK"); err != nil {
		return err
	}
	if err := replica.ready(ctx, replica.linked); err != nil {
		return err
	}
	for _, node := range c.nodes() {
		if err := node.ready(ctx, func(ctx context.Context) error { return node.expect(ctx, "CLUSTER NODES", "slave "+id) }); err != nil {
			return err
		}
	}
	return nil
}

func (c *RedisCluster) nodes() []*Redis {
	return append(append([]*Redis{}, c.Masters...), c.Replicas...)
}

// Addrs returns the TCP addresses of all nodes.
func (c *RedisCluster) Addrs() []string {
	var addrs []string
	for _, node := range c.nodes() {
		addrs = append(addrs, node.Addr())
	}
	return addrs
}

// Stop ends every node and removes all they have written.
func (c *RedisCluster) Stop(ctx context.Context) error {
	var failed error
	for _, node := range c.nodes() {
		failed = errors.Join(failed, node.Stop(ctx))
	}
	return failed
}
