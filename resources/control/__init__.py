"""The control store: what must be readable and writable while a run holds the warehouse.

Here: its tables and engine, what people propose, sign, send and undo, what connectors queue. Not here: facts
about data (the ledger in the warehouse).
"""
