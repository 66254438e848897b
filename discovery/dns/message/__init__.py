"""Octets ↔ values: names, questions, records and answers, EDNS, and the codec. Knows nothing of what is true."""
