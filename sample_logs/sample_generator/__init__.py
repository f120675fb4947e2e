"""The parts of the sample-log generator."""
