"""The plugin `forward`: its settings, its upstreams (scripted ones on loopback sockets), and the whole process with it."""
