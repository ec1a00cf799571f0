from asyncio.base_events import *
