"""A live platform in memory, played after the sources of what runs on it."""
