"""What the way of a write costs: in the registry, in memory, over HTTP, and how long it holds the event loop."""
