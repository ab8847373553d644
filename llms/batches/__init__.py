"""Batch endpoints: many requests submitted together, for half the price, within a day."""
