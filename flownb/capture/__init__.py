"""Cells become flows: what they depend on of what was executed, replayed in that order.

`history` keeps what was executed, `slicing` finds what a cell depends on; `live` captures a cell in a running
notebook, `saved` from a file; `assemble` makes a flow of captured steps.
"""
