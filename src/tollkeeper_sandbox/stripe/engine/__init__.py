"""What all of it runs on: the ledger, the clock, webhooks, faults."""
