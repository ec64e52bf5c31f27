"""The review desk: one page on loopback on which an approver decides on what is proposed.

Here: the page, its forms and who may send them. Not here: who may decide what (`resources.control`).
"""
