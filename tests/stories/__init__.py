"""The whole process and real clients: each story starts `python -m discovery` on free ports and stops it with SIGTERM."""
