"""What the tests of others can use: `flownb.testing.storage` proves a storage of one's own.

Needs pytest, which flownb itself does not install.
"""
