from asyncio.transports import *
