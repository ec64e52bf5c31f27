"""Ad platforms and other live sources, each behind one small interface, all run by one slice runner.

Here: the interface (`source`), what may go wrong (`errors`), waiting (`pacing`), pulling (`fetching`),
and a module or package per platform. Not here: what becomes of the rows (`resources.landing`), assets.
"""
