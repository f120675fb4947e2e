"""Live caches, one file each, and the table of addresses that lead to them."""
