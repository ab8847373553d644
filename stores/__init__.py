"""What lasts: the ledger, the vectors, and the files that are read and written."""
