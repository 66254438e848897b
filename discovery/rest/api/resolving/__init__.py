"""Finding the instances to use."""
