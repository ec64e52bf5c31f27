"""Landing under the load contract: streams, pages of immutable rows, and the slice ledger.

Here: what the file drop and the connectors share. Not here: where rows come from (`resources.files`,
`resources.connectors`).
"""
