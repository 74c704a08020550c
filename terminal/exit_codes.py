"""The exit codes of every command; docs/command-line.md explains them."""

FAILED = 1
"""The command found something, or failed."""

BAD_INPUT = 2
"""An option, the stack file, a tool, credentials or a kubeconfig: the sentence says which."""

INCOMPLETE = 3
"""Nothing was found as far as it was checked, or somebody must decide first."""

INTERRUPTED = 130
"""Ctrl-C; the number is that of shells."""

READER_GONE = 141
"""The program that read the output has ended; the number is that of shells."""
