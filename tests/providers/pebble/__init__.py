"""Pebble, a payment provider that there is not: a second one, to see that only its own folder knows a provider."""
