"""Cells become flows: which names a cell reads, and how each is carried.

`cell` reads a `%%flow` cell as text, `live` captures it from a running notebook, `saved` from a file;
`assemble` puts the captured parts of a flow together.
"""
