"""The pages that buyers see: checkout, invoices, the customer portal."""
