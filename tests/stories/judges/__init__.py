"""Programs that others wrote as judges of the DNS side: resolvers, proxies, a monitoring system, the C library, a JDK.

Each is started by its story with a configuration of the story's own, on loopback and in the foreground, and ends with it.
"""
