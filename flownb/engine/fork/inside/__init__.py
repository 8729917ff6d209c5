"""The inside of the engine: what runs in the template's process, the guardian's, and the child's.

It is loaded by its path into the interpreter of the kernel, which need not have flownb: so it imports
nothing but the standard library, IPython and ipykernel, and itself by relative names only.
"""
