"""The commands, and what they say."""
