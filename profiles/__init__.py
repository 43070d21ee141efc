"""People and what they did: projects, accounts, credentials, profiles and the event log."""
