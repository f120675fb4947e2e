"""Find the texts that may have answered a few core texts of a large log."""
