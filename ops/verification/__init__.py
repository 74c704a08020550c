"""``./kf verify``: checks of a live platform, each with what it looked at and the way out."""
