"""How fast homeport is next to what others take for the same work on the same machine: `python -m benchmarks`."""
