"""List the input files, decompress them, split them into records and detect their source.

This folder turns paths and addresses into records with offsets. It never interprets a call.
"""
