"""Looking back each morning: why numbers moved, how right forecasts were, and what may be trusted today.

Here: exact decompositions (`changes`), the arrival of conversions with age (`arrival`), forecasts beside
actuals (`reviews`), platform beside backend (`reconciliation`), the verdicts that rest on them (`readiness`,
`safety`). Not here: forecasts and decisions themselves, and telling anybody.
"""
