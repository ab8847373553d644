"""Batch endpoints: many requests handed over together, for half the price, within a day."""
