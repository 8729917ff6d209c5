"""The engine that runs each notebook in a child forked from a template process.

`inside` is what runs in those processes; the rest is what the process does that asks for the run.
"""
