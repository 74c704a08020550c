"""Tables of invented outputs, one file per component; see ``rehearsal.clouds``."""
