"""The gate: who is this, and may they pass? Login sessions, and carrying them to other hosts."""
