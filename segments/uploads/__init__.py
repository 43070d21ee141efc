"""Custom Lists from files: read in the background, with a report."""
