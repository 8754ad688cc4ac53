"""What buyers see: checkout, invoices, the customer portal."""
