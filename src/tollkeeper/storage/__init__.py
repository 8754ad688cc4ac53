"""Storage: one schema, one module of queries per noun, SQLite or PostgreSQL behind one interface."""
