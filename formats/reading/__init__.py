"""From files to rows: what a SOURCE names, its bytes, its records, their forms."""
