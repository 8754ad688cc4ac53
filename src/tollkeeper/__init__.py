"""Sign in, pay, get in."""
