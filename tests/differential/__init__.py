"""The same random programs on stock asyncio and on rasyncio, with the logs compared line by line.

`generate` makes programs, `player` runs one on a given module and loop; that is for the family of programs
about tasks; `generate_sync` and `player_sync` are for that about locks and queues, `generate_streams` and
`player_streams` for that about stream readers and writers. `loops` makes loops that run in virtual time, `compare` holds the pairs against each other, `shrink` makes a failing program
small. `mutants` are faulty locks and queues, to see that they would be noticed.

    python -m tests.differential --programs 10000
    python -m tests.differential --family sync --show 1234

`jobs` does the same with programs of jobs, on the package aiojobs and on `rasyncio.scheduler`; and
`documents` with the programs found in documents.
"""
