"""A service registry with two faces, HTTP and DNS, answered from one table. The README's map of the code says where things are."""

__version__ = "1.0.0"
