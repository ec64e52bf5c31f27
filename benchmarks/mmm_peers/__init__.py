"""Media-mix peers on the same weeks, priors as equal as each can express: pymc-marketing and Meridian.

Here: what they are given (`task`), one script each that fits it in a process of its own, the study. Not here:
our model; installing the project installs no Meridian (`install_peer.sh` makes it an environment).
"""
