"""Copies of images in the registry of the account."""
