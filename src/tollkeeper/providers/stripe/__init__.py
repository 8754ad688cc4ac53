"""Stripe, through its official SDK (API version 2026-10-28.endive)."""
