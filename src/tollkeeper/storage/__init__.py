"""Where things are kept: one schema, one module of queries per noun, SQLite or PostgreSQL behind one seam."""
