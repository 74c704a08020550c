"""The command line, ``./kf``: what a person does beside ``pulumi up``."""

VERSION = "0.1.0"
"""Of the command line; bundles say which one made them."""
