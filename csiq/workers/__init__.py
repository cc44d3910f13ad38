"""Work on many items in other processes: here, or on a Dask cluster.

``pool`` is for many small tasks in a few processes that are trusted; ``apart`` for a task that may take its
process with it, one process a task; ``engine`` and its kinds ``here`` and ``cluster`` hand out such tasks.
"""
