"""One room for each payment provider: the only ones that know an SDK."""
