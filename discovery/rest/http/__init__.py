"""Connections: their number, their patience, how requests are read from them, and the application behind."""
