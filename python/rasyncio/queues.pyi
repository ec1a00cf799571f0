import sys
from asyncio.queues import *

if sys.version_info < (3, 13):
    class QueueShutDown(Exception): ...
