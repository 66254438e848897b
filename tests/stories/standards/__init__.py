"""The DNS side held against the standards: RFC by RFC, by programs and sockets that are not ours, on the whole process."""
