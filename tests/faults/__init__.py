"""Runs that are killed, and runs that AWS refuses in part: `make test-faults`."""
