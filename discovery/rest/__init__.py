"""The HTTP API: request schemas, handlers, one table of errors, the aiohttp application. Knows the store, not DNS."""
