"""Billing: from an order to a grant, and what keeps grants true."""
