"""Pictures: arrays and tables in, a matplotlib Figure out; alt says one in words."""
