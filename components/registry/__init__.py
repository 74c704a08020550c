"""The stack's own registry: repositories, pull-through caches, and what may be done there."""
