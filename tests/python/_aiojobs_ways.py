"""A plugin for pytest, in which aiojobs' own tests run: RASYNCIO_WAY says on what.

`stock`    stock asyncio
`package`  the package's classes, after `rasyncio.install()`
`ours`     after `rasyncio.scheduler.install()` as well
"""

import os

way = os.environ["RASYNCIO_WAY"]

if way != "stock":
    import asyncio

    import rasyncio

    rasyncio.install()
    assert asyncio.Task is rasyncio.Task
if way == "ours":
    import aiojobs

    import rasyncio.scheduler

    rasyncio.scheduler.install()
    assert aiojobs.Scheduler is rasyncio.scheduler.Scheduler
