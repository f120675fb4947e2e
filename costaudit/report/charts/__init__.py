"""Charts as SVG, written by the report itself.

They take parts of the audit and give marks with coordinates. They never compute a figure.
"""
