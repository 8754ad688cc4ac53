"""Whole histories of a shop, in virtual time, against the real app, the real databases and the sandbox."""
