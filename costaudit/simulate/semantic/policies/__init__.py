"""Cache policies beside one threshold for all: learned by each entry, and reviewed answers."""
