"""Wording: reasons, money and time in words."""
