"""Scripts that a developer runs by hand. Nothing here is part of the running product."""
