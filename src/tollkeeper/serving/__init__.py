"""Serving: the HTTP server, its limits, its log."""
