"""Who answers on a miss: the log, or a live model."""
