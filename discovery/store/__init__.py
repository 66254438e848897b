"""The one copy of the truth: the registry (pure, synchronous), the engine that writes pass through, the reaper that tells it the time."""
