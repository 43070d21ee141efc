"""What a project used: active users, events, data points."""
