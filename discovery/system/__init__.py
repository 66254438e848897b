"""The operating system's side: settings from the environment, bound sockets, certificates, files that are read again."""
