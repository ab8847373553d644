"""Pure mathematics on arrays: no text, no model, no store."""
