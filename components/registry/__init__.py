"""The stack's own registry: repositories, pull-through caches, and the rights to both."""
