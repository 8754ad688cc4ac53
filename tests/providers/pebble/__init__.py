"""Pebble, an invented second payment provider, which shows that only a provider's own folder knows it."""
