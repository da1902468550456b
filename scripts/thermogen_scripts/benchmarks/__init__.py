"""What `make bench` measures; each module returns rows for the table."""
