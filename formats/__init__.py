"""Files to rows (`reading`) and rows to files (`writing`)."""
