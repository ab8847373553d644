"""What views and jobs read from a ledger; nothing here writes."""
