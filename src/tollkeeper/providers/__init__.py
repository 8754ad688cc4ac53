"""One package for each payment provider. Only these packages know an SDK."""
