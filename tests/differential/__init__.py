"""The same random programs on stock asyncio and on rasyncio, with the logs compared line by line.

`generate` makes programs, `player` runs one on a given module and loop, `loops` makes loops that run in
virtual time, `compare` holds the pairs against each other, `shrink` makes a failing program small.

    python -m tests.differential --programs 10000
    python -m tests.differential --show 1234

`documents` does the same with the programs found in documents.
"""
