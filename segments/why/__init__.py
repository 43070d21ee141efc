"""Why a person is in a segment, or is not."""
