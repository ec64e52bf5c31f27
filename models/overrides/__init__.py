"""What people decided in the place of a proposal, and what came of it.

Here: finding such choices and judging them once their days are matured, without anybody's name. Not here:
deciding (`resources.control`).
"""
