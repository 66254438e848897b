"""What is true about a name: look-ups in live services, zone files, reverse names and the catalog of zones. Pure; no octets, no sockets."""
