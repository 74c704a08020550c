"""What exists in the cloud: a package for each of the five components, and what they share."""
