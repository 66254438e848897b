"""Packets in, packets out: the responder, its kept answers, cookies, limits, and the sockets."""
