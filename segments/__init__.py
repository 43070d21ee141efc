"""Groups of people: cohorts a partner sends, the sets they become, and the syncs that changed them."""
