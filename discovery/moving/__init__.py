"""Moving over from another registry, and telling it what registers here. See README.md."""
