"""Commands of `aelp` with more to say than fits one place, a module per subject.

Here: words, options, exit codes; heavy imports stay inside functions. Not here: what a command does, and
which commands there are (`aelp_assets.cli`).
"""
