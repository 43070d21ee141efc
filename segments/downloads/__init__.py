"""People written to files in the background."""
