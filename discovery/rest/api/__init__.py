"""The API itself: bodies, routes, views, and the one table from errors to status codes."""
