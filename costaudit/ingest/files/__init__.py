"""What a file is: a list of inputs, bytes, records, and the source that reads them.

It takes paths and addresses and returns records with offsets. It never interprets a call.
"""
