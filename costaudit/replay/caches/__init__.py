"""Live caches, one file each."""
