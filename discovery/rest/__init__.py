"""The HTTP API: request schemas, handlers, one table of errors, connections. Knows the store, not DNS."""
