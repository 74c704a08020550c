"""Programs that a rehearsal or a test needs: found, installed or built once."""
