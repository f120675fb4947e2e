"""The log formats: one class per format, one file per family of formats.

Each source turns records into calls or skips. It never opens or splits the log file.
"""
