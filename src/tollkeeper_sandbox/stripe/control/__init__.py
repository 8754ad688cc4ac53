"""The control page, for whoever runs the sandbox."""
