"""Measurements that `make bench` prints: previews, renders and admissions."""
