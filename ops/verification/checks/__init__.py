"""The checks, a module per subject; each module has ``CHECKS`` in the order of the report."""
