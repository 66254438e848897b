"""Following changes: what a client waits for, and what it hears. `rest/watch` tells them."""
