"""What the API is about, one module per noun."""
