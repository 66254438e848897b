"""Benchmarks, run by hand (README.md beside this file): ratios against programs that nobody here wrote, in one run."""
