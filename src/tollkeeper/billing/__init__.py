"""Billing: from an order to a grant, and keeping grants correct."""
