"""The gate: who is this, and may they pass? Login sessions, and their way to other hosts."""
