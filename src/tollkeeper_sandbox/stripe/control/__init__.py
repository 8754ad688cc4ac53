"""The control page, for the person who runs the sandbox."""
