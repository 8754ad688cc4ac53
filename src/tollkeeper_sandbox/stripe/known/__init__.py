"""Facts: test cards, test accounts, countries, currencies, the calendar."""
