"""CleverTap's server API below /1/: server clients that were written for it work when they are pointed here."""
