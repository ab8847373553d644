"""What people look at. Everything here only reads."""
