"""What caches would have done with the requests, by exact rules.

Takes requests, blocks and vectors, returns outcomes, never touches the network.
"""
