"""The control store: what must be readable and writable while a run holds the warehouse.

Here: its engine and the tables connectors use. Not here: facts about data (the ledger in the warehouse).
"""
