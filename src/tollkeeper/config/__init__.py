"""The configuration of a site: all settings, and how they are loaded."""
