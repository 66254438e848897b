"""Ways to share the truth between processes, one folder each; the composition root chooses one."""
