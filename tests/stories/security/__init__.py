"""Who may do what, and who is kept out: the whole process, with real clients and strangers."""
