"""A service registry with two faces, HTTP and DNS, answered from one table. docs/architecture.md has a map of the code."""

__version__ = "1.0.0"
