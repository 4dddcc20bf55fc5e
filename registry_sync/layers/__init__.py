"""What is in an image's layers: reading, index, merge, analysis, comparison. Plain Python.

Nothing here writes a file: a layer comes from strangers, is read as a stream, and is read in a
process of its own with limits (``child``).
"""
