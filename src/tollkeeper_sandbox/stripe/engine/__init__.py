"""The foundation: the ledger, the clock, webhooks, faults."""
