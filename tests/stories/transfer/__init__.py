"""Zone transfer as others see it: dig, dnspython, Knot and BIND as secondaries."""
