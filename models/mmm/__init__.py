"""Media mix: what each channel's weekly spend adds, how sure that is, and where the next dollar goes.

Here: response curves (`response`), weeks (`weekly_input`) and why they may not be enough (`weeks`), the
baseline (`baseline`), what is assumed (`specification`) and what experiments told (`evidence`), the Bayesian
model with its linear part integrated out (`collapsed`), a first impression of it (`quick_look`), its draws
(`posterior`) and how they are kept (`storage`), whether they may be believed (`diagnostics`, `validation`), a
second opinion (`bootstrap`), curves (`curves`), spend chosen over draws (`allocation`, `budget_scenarios`),
tests worth making (`planner`). Not here: marts, artifacts, plots (`aelp_assets`), what may be spent
(`guardrails`).

Units: dollars a week, the outcome in reward units (incremental signups) a week or, where stores judge, in new
customers.
"""
