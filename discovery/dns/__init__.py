"""DNS from the store: query → answer → encode. Everything but `server` is pure and synchronous."""
