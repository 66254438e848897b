"""Several `discovery serve` processes on a real etcd: what clients see of them while nodes, links and members fail."""
